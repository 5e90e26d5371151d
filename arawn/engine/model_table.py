"""The table of models that the user stores over the built-in one: read from a file or by https, stored, taken back."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from arawn import __version__
from arawn.errors import ConfigError, UsageError
from arawn.files import read_named, write_private
from arawn.models.table import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arawn.network.transport import Transport

DOWNLOAD_TIMEOUT = 60.0
"""Seconds a download may take in all."""
MAX_REDIRECTS = 5
_MOVED = (301, 302, 303, 307, 308)


def read_table(source: str, environ: Mapping[str, str]) -> bytes:
    """Return the bytes of a table from a file, or from an address that begins with https://.

    Raises UsageError for what cannot be read or is larger than MAX_BYTES, and what the network raises.
    """
    if "://" not in source:
        return read_named(source, MAX_BYTES)
    from arawn.engine.blocking import run
    from arawn.network.routes import Route
    from arawn.network.transport import BlockingTransport

    return run(_download(source, BlockingTransport(Route(environ))))


def store_table(path: str, text: str) -> None:
    """Store a table; the one that was stored is kept for ``restore_table``, unless it is damaged."""
    try:
        with open(path, "rb") as file:
            before = file.read()
        if _is_whole(before):
            write_private(_previous(path), before)
    except FileNotFoundError:
        _remove(_previous(path))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", hints=["nothing was changed"]) from None
    write_private(path, text.encode())


def restore_table(path: str) -> str:
    """Go back to the table before the stored one, the built-in one where there was none. Returns what is now in force.

    Raises UsageError where no table is stored.
    """
    if os.path.exists(_previous(path)):
        os.replace(_previous(path), path)
        return "the table stored before"
    if not _remove(path):
        raise UsageError("no table of models is stored: there is nothing to undo")
    return "the built-in table"


def _is_whole(table: bytes) -> bool:
    import json

    try:
        return all(json.loads(line) for line in table.splitlines())
    except ValueError:
        return False


def _previous(path: str) -> str:
    return f"{path}.previous"


def _remove(path: str) -> bool:
    try:
        os.remove(path)
    except FileNotFoundError:
        return False
    return True


async def _download(url: str, transport: Transport) -> bytes:
    from arawn.network.deadlines import Deadlines, Timeouts
    from arawn.network.exchange import Outgoing
    from arawn.network.routes import Peer

    deadlines = Deadlines(Timeouts(total=DOWNLOAD_TIMEOUT), time.monotonic)
    headers = {"User-Agent": f"arawn/{__version__}"}
    try:
        for _ in range(MAX_REDIRECTS + 1):
            peer = Peer("models", "the server", _checked(url))
            reply = await transport.send(Outgoing(peer=peer, method="GET", url=url, headers=headers), deadlines)
            try:
                if reply.status in _MOVED and "location" in reply.headers:
                    url = urljoin(url, reply.headers["location"])
                    continue
                if reply.status != 200:
                    raise UsageError(f"cannot read {url}: the server answered with status {reply.status}")
                return await reply.read(MAX_BYTES)
            finally:
                await reply.aclose()
    finally:
        await transport.aclose()
    raise UsageError(f"cannot read {url}: it redirects more than {MAX_REDIRECTS} times")


def _checked(url: str) -> str:
    """Return an address that may be read. Raises UsageError for another one."""
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc and not parts.fragment
    except ValueError:
        usable = False
    if not usable or not url.isascii() or not url.isprintable() or " " in url:
        raise UsageError("the address of the table cannot be used", hints=["expected https://host/models.toml"])
    if parts.scheme != "https":
        raise UsageError(f"{parts.scheme}://{parts.netloc} is not encrypted: a table of models is read by https only")
    return url
