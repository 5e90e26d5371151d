"""The route to a server: who it is, its address, and the proxy that leads there."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from arawn.errors import ConfigError
from arawn.values import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


class Peer(Value):
    """A backend in the words errors use: its name, its label ("Ollama"), its base_url."""

    backend: str
    label: str
    base_url: str


class Route(Value):
    """What decides the route to a server: ``environ`` names proxies and certificates, ``proxy`` stands above it.

    An empty ``proxy`` means none; ``ca_bundle`` names certificates to trust besides; ``insecure_tls`` trusts all.
    """

    environ: Mapping[str, str]
    proxy: str | None = None
    ca_bundle: str | None = None
    insecure_tls: bool = False


class Server(Value):
    """Where a server listens. ``host`` has no brackets, and the zone that a link-local address may need."""

    scheme: str
    host: str
    port: int


class Proxy(Value):
    """A proxy. ``user`` and ``password`` are empty where it asks for none."""

    _unshown = ("user", "password")
    scheme: str
    host: str
    port: int
    user: str
    password: str

    @property
    def is_socks(self) -> bool:
        """Whether it speaks SOCKS 5, and not HTTP."""
        return self.scheme.startswith("socks")

    @property
    def url(self) -> str:
        """Its address, without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def authorization(self) -> str:
        """The value of the header that proves who asks."""
        from binascii import b2a_base64

        return f"Basic {b2a_base64(f'{self.user}:{self.password}'.encode(), newline=False).decode()}"


def server_at(url: str) -> Server:
    """Read where the server of an address listens."""
    parts = urlsplit(url)
    return Server(parts.scheme, (parts.hostname or "").replace("%25", "%"), parts.port or PORTS[parts.scheme])


def proxy_at(url: str) -> Proxy:
    """Read a proxy's URL, one that can be used. Raises ConfigError for a SOCKS proxy without the extra it needs."""
    parts = urlsplit(url)
    port = parts.port or PORTS[parts.scheme]
    proxy = Proxy(
        parts.scheme, parts.hostname or "", port, unquote(parts.username or ""), unquote(parts.password or "")
    )
    if proxy.is_socks:
        _require_socks()
    return proxy


def without_zone(url: str) -> str:
    """Return an address without the zone of its host: it means something to this computer alone (RFC 6874, 4)."""
    if "%" not in url:
        return url
    parts = urlsplit(url)
    host, closing, rest = parts.netloc.partition("]")
    return urlunsplit(parts._replace(netloc=f"{host.partition('%')[0]}{closing}{rest}"))


def with_plain_zone(url: str) -> str:
    """Return an address with the zone of its host as the system takes it, where RFC 6874 has a "%25" before it."""
    if "://[" not in url:
        return url
    host, closing, rest = url.partition("]")
    return f"{host.replace('%25', '%')}{closing}{rest}"


def _require_socks() -> None:
    import importlib.util

    if importlib.util.find_spec("socksio") is None:
        hint = "Install it: pip install 'arawn[socks]'"
        raise ConfigError("A SOCKS proxy needs the extra 'socks'", hints=(hint,))
