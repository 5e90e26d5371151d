"""Keyrings of every kind there is: working, lying, locked, hung."""

from __future__ import annotations

from threading import Event

from keyring.backend import KeyringBackend
from keyring.backends.chainer import ChainerBackend
from keyring.errors import InitError, KeyringLocked, PasswordSetError


class MemoryRing(KeyringBackend):
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


class PlaintextRing(MemoryRing):
    """Named as one that writes what it gets into a file as it is."""


class ForgetfulRing(MemoryRing):
    def set_password(self, service, username, password):
        pass


class HangingRing(MemoryRing):
    """One that waits for a daemon that never answers."""

    released = Event()

    def get_password(self, service, username):
        self.released.wait()

    def set_password(self, service, username, password):
        self.released.wait()


class LockedRing(MemoryRing):
    def get_password(self, service, username):
        raise KeyringLocked("Failed to unlock the collection!\nand more")


class BuslessRing(MemoryRing):
    def get_password(self, service, username):
        raise InitError("no session bus")


class TalkativeRing(MemoryRing):
    def set_password(self, service, username, password):
        raise PasswordSetError(f"could not store {password}")


class Chain(ChainerBackend):
    """Several keyrings behind one another."""

    priority = 0
    backends = (PlaintextRing(), MemoryRing())
