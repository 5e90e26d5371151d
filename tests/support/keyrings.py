"""Keyrings that work, forget, hang, are locked, store plaintext, or repeat the key in their error."""

from __future__ import annotations

from threading import Event

from keyring.backend import KeyringBackend
from keyring.backends.chainer import ChainerBackend
from keyring.errors import InitError, KeyringLocked, PasswordSetError


class MemoryKeyring(KeyringBackend):
    """A keyring that works."""

    priority = 0

    def __init__(self):
        self.kept = {}

    def get_password(self, service, username):
        return self.kept.get((service, username))

    def set_password(self, service, username, password):
        self.kept[service, username] = password

    def delete_password(self, service, username):
        del self.kept[service, username]


class PlaintextKeyring(MemoryKeyring):
    """Named as one that writes what it gets into a file as it is."""


class ForgetfulKeyring(MemoryKeyring):
    def set_password(self, service, username, password):
        pass


class HangingKeyring(MemoryKeyring):
    """One that waits for a daemon that never answers."""

    released = Event()

    def get_password(self, service, username):
        self.released.wait()

    def set_password(self, service, username, password):
        self.released.wait()


class LockedKeyring(MemoryKeyring):
    def get_password(self, service, username):
        raise KeyringLocked("Failed to unlock the collection!\nand more")


class NoSessionBusKeyring(MemoryKeyring):
    def get_password(self, service, username):
        raise InitError("no session bus")


class RevealingKeyring(MemoryKeyring):
    def set_password(self, service, username, password):
        raise PasswordSetError(f"could not store {password}")


class ChainedKeyrings(ChainerBackend):
    """Several keyrings behind one another."""

    priority = 0
    backends = (PlaintextKeyring(), MemoryKeyring())
