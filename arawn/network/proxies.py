"""Which proxy leads to an address. Loopback hosts never have one, whatever the environment says."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from arawn.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult

_SCHEMES = ("http", "https", "socks5", "socks5h")
_PORTS = {"http": 80, "https": 443}


def proxy_for(url: str, environ: Mapping[str, str], explicit: str | None = None) -> str | None:
    """Return the URL of the proxy for ``url``, credentials included, or None.

    ``explicit`` stands above the environment, and an empty one means no proxy. ``HTTPS_PROXY``, ``HTTP_PROXY``,
    ``ALL_PROXY`` and ``NO_PROXY`` count in either case, the lower one first. Raises ConfigError for a proxy that
    cannot be used.
    """
    target = urlsplit(url)
    if is_loopback(target.hostname or ""):
        return None
    if explicit is not None:
        return _checked(explicit, "proxy")
    if _is_exempt(target, _variable(environ, "no_proxy")[1]):
        return None
    for variable in (f"{target.scheme}_proxy", "all_proxy"):
        spelled, value = _variable(environ, variable)
        if value:
            return _checked(value, spelled)
    return None


def is_loopback(host: str) -> bool:
    """Say whether a host name or address can only be this computer."""
    from ipaddress import ip_address

    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ip_address(name.strip("[]"))
    except ValueError:
        return False
    mapped = address.ipv4_mapped if address.version == 6 else None
    return (mapped or address).is_loopback


def without_password(proxy: str) -> str:
    """Return a proxy's URL as it may be shown."""
    parts = urlsplit(proxy)
    _, at, place = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{'***@' if at else ''}{place}"


def _variable(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """Return the variable as it is spelled there, and its value."""
    spelled = name if environ.get(name) else name.upper()
    return spelled, environ.get(spelled, "").strip()


def _checked(proxy: str, named_by: str) -> str | None:
    if not proxy:
        return None
    scheme, separator, place = proxy.partition("://")
    if not separator:
        scheme, place = "http", proxy
    scheme = "socks5" if scheme.lower() == "socks" else scheme.lower()  # desktops set ALL_PROXY=socks://...
    proxy = f"{scheme}://{place}"
    try:
        parts = urlsplit(proxy)
        usable = parts.scheme in _SCHEMES and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(
            f"{named_by}: not the address of a proxy that can be used",
            hints=(f"Expected {', '.join(f'{scheme}://' for scheme in _SCHEMES)} with a host and a port.",),
        )
    return proxy


def _is_exempt(target: SplitResult, no_proxy: str) -> bool:
    host = (target.hostname or "").rstrip(".")
    port = target.port or _PORTS.get(target.scheme)
    return any(_covers(entry, host, port) for entry in no_proxy.lower().replace(",", " ").split())


def _covers(entry: str, host: str, port: int | None) -> bool:
    """Say whether an entry means the host: ``*``, a name and all below it, an address, a network, or host:port."""
    if entry == "*":
        return True
    if "/" in entry or entry.count(":") > 1:
        return _network_covers(entry, host)
    name, _, wanted = entry.partition(":")
    name = name.removeprefix("*").removeprefix(".").rstrip(".")
    return (not wanted or wanted == str(port)) and (host == name or host.endswith(f".{name}"))


def _network_covers(entry: str, host: str) -> bool:
    from ipaddress import ip_address, ip_network

    try:
        return ip_address(host) in ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return False
