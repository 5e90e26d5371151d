"""Why a connection failed: exceptions of the system and of OpenSSL in words a user can act on."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest

from arawn.network.causes import cause_of

CAUSES = {
    "refused": (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "nothing listens there", True),
    "reset": (ConnectionResetError(errno.ECONNRESET, "reset by peer"), "reset by the other side", True),
    "no route": (OSError(errno.ENETUNREACH, "Network is unreachable"), "is the network up?", True),
    "other": (OSError(errno.EMFILE, "Too many open files"), "The system says: Too many open files.", True),
    "unknown name": (socket.gaierror(socket.EAI_NONAME, "unknown"), "not known", False),
    "no resolver": (socket.gaierror(socket.EAI_AGAIN, "later"), "at the moment", True),
    "bad name": (UnicodeError("label too long"), "not known", False),
    "TLS hang-up": (ssl.SSLEOFError(8, "EOF occurred"), "ended the connection during the TLS handshake", True),
    "no TLS": (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong"), "TLS failed", False),
    "anything": (LookupError("odd\x1b[31m thing."), "The cause: odd [31m thing.", True),
}


@pytest.mark.parametrize(("error", "words", "transient"), CAUSES.values(), ids=CAUSES)
def test_a_cause_is_told_in_plain_words(error, words, transient):
    cause = cause_of(error)
    assert words in cause.hints[0]
    assert cause.transient is transient


@pytest.mark.parametrize("error", [error for error, _, _ in CAUSES.values()], ids=CAUSES)
def test_it_is_found_inside_what_was_made_of_it(error):
    outer = RuntimeError("All connection attempts failed")
    outer.__cause__ = ExceptionGroup("several", [error])
    assert cause_of(RuntimeError(outer)).transient is cause_of(error).transient or isinstance(error, LookupError)


def test_an_exception_without_a_word_gives_no_hint():
    assert cause_of(RuntimeError()).hints == ()


def test_a_ring_of_exceptions_comes_to_an_end():
    one, two = RuntimeError("one"), RuntimeError("two")
    one.__context__, two.__context__ = two, one
    assert cause_of(one).hints == ("The cause: one.",)
