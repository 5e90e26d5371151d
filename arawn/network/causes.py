"""Why a connection failed, in plain words: the operating system's and OpenSSL's exceptions, read in one place."""

from __future__ import annotations

import errno
import socket
import ssl
from typing import TYPE_CHECKING

from arawn.adapters.failure_report import printable
from arawn.values import Value

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORDS_SHOWN = 200
_UNKNOWN_AUTHORITY = (18, 19, 20, 21)  # X509_V_ERR_*: self-signed, no issuer found, chain not verifiable
_NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN)


class Cause(Value):
    """What happened and what to do, a line each; ``transient`` when another try may succeed."""

    hints: tuple[str, ...]
    transient: bool = True


def cause_of(error: BaseException) -> Cause:
    """Read an exception with all it was made from; the first that says something is believed."""
    chain = list(_chain(error))
    for found in (read(one) for read in (_tls, _name, _network) for one in chain):
        if found:
            return found
    words = next((printable(str(one), _WORDS_SHOWN).rstrip(".") for one in chain if str(one)), "")
    return Cause((f"The cause: {words}.",) if words else ())


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception and everything it wraps, each once."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [*one.args, one.__cause__, one.__context__]
        waiting += one.exceptions if isinstance(one, BaseExceptionGroup) else ()


def _tls(error: BaseException) -> Cause | None:
    match error:
        case ssl.SSLCertVerificationError():
            what = f"The server's certificate is not trusted: {printable(error.verify_message, _WORDS_SHOWN)}."
            if error.verify_code in _UNKNOWN_AUTHORITY:
                advice = "If you trust its issuer, give its PEM file: ca_bundle of this backend, or SSL_CERT_FILE."
            else:
                advice = "Check base_url, the server's certificate, and the clock of this computer."
            return Cause((what, advice), transient=False)
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError() | ssl.SSLSyscallError():
            return Cause(("The server ended the connection during the TLS handshake.",))
        case ssl.SSLError():
            what = f"TLS failed: {printable(str(getattr(error, 'reason', error)), _WORDS_SHOWN)}."
            return Cause((what, "Does the server speak TLS at this port? If not, base_url begins with http://."), False)
        case _:
            return None


def _name(error: BaseException) -> Cause | None:
    match error:
        case socket.gaierror() if error.errno == socket.EAI_AGAIN:
            return Cause(("The host name cannot be looked up at the moment. Is the network up?",))
        case socket.gaierror() | UnicodeError():
            return Cause(("The host name is not known: check base_url of this backend.",), transient=False)
        case _:
            return None


def _network(error: BaseException) -> Cause | None:
    match error:
        case ConnectionRefusedError():
            return Cause(("Connection refused: nothing listens there. Is it running?",))
        case ConnectionResetError() | BrokenPipeError():
            return Cause(("The connection was reset by the other side.",))
        case OSError() if error.errno in _NO_ROUTE:
            return Cause(("There is no way to this address: is the network up?",))
        case OSError() if error.errno and error.strerror:
            return Cause((f"The system says: {printable(error.strerror, _WORDS_SHOWN)}.",))
        case _:
            return None
