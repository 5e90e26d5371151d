"""The ways to a server: straight, or through a proxy that forwards, tunnels, or speaks SOCKS."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from arawn.network import socks
from arawn.network.http11 import Connection, Request
from arawn.network.links import Refused
from arawn.values import Value

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from arawn.network.deadlines import Clocks
    from arawn.network.links import Connect, Link

_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


class Proxy(Value):
    """A proxy. ``user`` and ``password`` are empty where it asks for none."""

    _unshown = ("user", "password")
    scheme: str
    host: str
    port: int
    user: str
    password: str

    @property
    def authorization(self) -> list[tuple[str, str]]:
        """The header that proves who asks."""
        if not self.user:
            return []
        from binascii import b2a_base64

        proof = b2a_base64(f"{self.user}:{self.password}".encode(), newline=False).decode()
        return [("Proxy-Authorization", f"Basic {proof}")]


def proxy_of(url: str) -> Proxy:
    """Read a proxy's URL, one that can be used. Raises ConfigError for a SOCKS proxy without the extra it needs."""
    parts = urlsplit(url)
    if parts.scheme.startswith("socks"):
        socks.require()
    port = parts.port or _PORTS[parts.scheme]
    return Proxy(parts.scheme, parts.hostname or "", port, unquote(parts.username or ""), unquote(parts.password or ""))


class Way:
    """How a server is reached. ``trust`` is None where neither it nor the proxy speaks TLS."""

    def __init__(self, url: str, proxy: Proxy | None, trust: ssl.SSLContext | None, connect: Connect) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or _PORTS[parts.scheme]
        self._is_secure = parts.scheme == "https"
        self._proxy = proxy
        self._trust = trust
        self._connect = connect

    async def open(self, clocks: Clocks) -> Connection:
        """Connect. Raises OSError, Refused, and what a Connection and a Link raise; nothing is left open then."""
        proxy = self._proxy
        host, port = (self._host, self._port) if proxy is None else (proxy.host, proxy.port)
        link = await self._connect(host, port, clocks)
        try:
            if proxy is not None:
                await self._pass(proxy, link, clocks)
            if self._is_secure:
                await self._secure(link, self._host, clocks)
        except BaseException:
            await link.close()
            raise
        return Connection(link)

    def request(self, method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> Request:
        """Return a request as it is written on this way: to a proxy that forwards it, with the whole address."""
        parts = urlsplit(url)
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        if self._proxy is not None and self._is_forwarded(self._proxy):
            target = f"{parts.scheme}://{parts.netloc}{target}"
            headers = [*self._proxy.authorization, *headers]
        return Request(method=method, target=target, headers=headers, body=body)

    def _is_forwarded(self, proxy: Proxy) -> bool:
        return proxy.scheme in ("http", "https") and not self._is_secure

    async def _pass(self, proxy: Proxy, link: Link, clocks: Clocks) -> None:
        if proxy.scheme == "https":
            await self._secure(link, proxy.host, clocks)
        if proxy.scheme.startswith("socks"):
            await socks.pass_through(link, self._host, self._port, (proxy.user, proxy.password), clocks)
        elif not self._is_forwarded(proxy):
            await self._tunnel(proxy, link, clocks)

    async def _tunnel(self, proxy: Proxy, link: Link, clocks: Clocks) -> None:
        host = f"[{self._host}]" if ":" in self._host else self._host
        place = f"{host}:{self._port}"
        headers = [("Host", place), ("Accept", "*/*"), *proxy.authorization]
        head = await Connection(link).exchange(Request(method="CONNECT", target=place, headers=headers), clocks)
        if not 200 <= head.status < 300:
            raise Refused(f"{head.status} {head.reason.decode('ascii', 'ignore')}")

    async def _secure(self, link: Link, host: str, clocks: Clocks) -> None:
        assert self._trust is not None
        await link.secure(self._trust, host, clocks)
