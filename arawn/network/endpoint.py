"""Where a service answers and how one proves who one is: a described call becomes a request, sent with its key."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

from arawn import __version__
from arawn.errors import ConfigError, SecretError
from arawn.network.deadlines import Deadlines, Timeouts
from arawn.network.exchange import Outgoing
from arawn.network.proxies import is_loopback
from arawn.network.routes import Peer
from arawn.values import Value

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from urllib.parse import SplitResult

    from arawn.adapters.base import HttpCall
    from arawn.network.exchange import Reply
    from arawn.network.transport import Transport
    from arawn.secrets.references import Secret

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_VALUE = re.compile(r"[!-~]([ -~\t]*[!-~])?|")
_URL_CHARACTERS = "/:@!$&'()*+,;=~%"


class Endpoint(Value, kw_only=True):
    """One service. ``label`` is how errors call it; ``credential`` is asked once a request, as late as possible.

    ``off_loop`` calls ``credential`` where that may wait and would hold up an event loop (``asyncio.to_thread``).
    ``monotonic`` and ``now`` (seconds since 1970) are clocks. ``observe`` receives the headers of every reply, their
    names in lower case, before its body is read.
    """

    name: str
    label: str
    base_url: str
    transport: Transport
    credential: Callable[[], Secret | None]
    off_loop: Callable[[Callable[[], Secret | None]], Awaitable[Secret | None]] | None = None
    auth_header: str = "Authorization"
    auth_prefix: str = "Bearer "
    allow_http: bool = False
    timeouts: Timeouts = Timeouts()
    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    observe: Callable[[Mapping[str, str]], None] | None = None

    def deadlines(self) -> Deadlines:
        """Start the deadlines of one call."""
        return Deadlines(self.timeouts, self.monotonic)

    async def send(self, call: HttpCall, deadlines: Deadlines) -> Reply:
        """Send a call and return its reply, which must be closed.

        Raises ConfigError for an address or a header that cannot be used, SecretError where the key would travel in
        the clear, and what Transport.send raises.
        """
        address = self._address()
        secret = self.credential() if self.off_loop is None else await self.off_loop(self.credential)
        if secret is not None:
            self._allow_secret(address)
        headers = self._headers(call, None if secret is None else secret.reveal())
        peer = Peer(self.name, self.label, self.base_url)
        outgoing = Outgoing(peer=peer, method=call.method, url=self._url(call), headers=headers, body=call.body)
        deadlines.began()
        reply = await self.transport.send(outgoing, deadlines)
        if self.observe is not None:
            try:
                self.observe(reply.headers)
            except BaseException:
                await reply.aclose()
                raise
        return reply

    def describe(self, call: HttpCall, *, keyed: bool = True) -> str:
        """Return the call as it would be sent, to be read: the key is neither looked up nor shown."""
        headers = self._headers(call, "***" if keyed else None)
        lines = [f"{call.method} {self._url(call)}", *(f"{name}: {value}" for name, value in headers.items())]
        return "\n".join([*lines, "", call.body.decode("utf-8", "replace")])

    def _url(self, call: HttpCall) -> str:
        path = quote(call.path, safe=_URL_CHARACTERS)
        query = f"?{urlencode(call.query)}" if call.query else ""
        return f"{self.base_url.rstrip('/')}{path}{query}"

    def _headers(self, call: HttpCall, key: str | None) -> dict[str, str]:
        headers = {"User-Agent": f"arawn/{__version__}"}
        if call.body:
            headers["Content-Type"] = "application/json"
        headers |= {name.title(): value for name, value in call.headers.items()}
        if key is not None:
            headers[self.auth_header.title()] = f"{self.auth_prefix}{key}"
        for name, value in headers.items():
            if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
                raise ConfigError(
                    f'backend "{self.name}": the header {name!r} cannot be sent',
                    hints=("A header's name and value are printable ASCII on one line.",),
                )
        return headers

    def _address(self) -> SplitResult:
        try:
            parts = urlsplit(self.base_url)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            usable = False
        if not usable or parts.query or parts.fragment or "@" in parts.netloc or not _VALUE.fullmatch(self.base_url):
            raise ConfigError(
                f'backend "{self.name}": base_url is not an address that can be used',
                hints=("Expected http:// or https://, a host in ASCII, and a path: no user, no query, no fragment.",),
            )
        return parts

    def _allow_secret(self, address: SplitResult) -> None:
        if address.scheme == "https" or self.allow_http or is_loopback(address.hostname or ""):
            return
        raise SecretError(
            f'The key of backend "{self.name}" would travel unencrypted to {address.hostname}',
            hints=("Use https:// in base_url, or, if you trust the network, allow_http = true for this backend.",),
        )
