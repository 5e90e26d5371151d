"""The handshake with a SOCKS 5 proxy (RFC 1928, RFC 1929). ``socksio``, an extra, is named in this file only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arawn.errors import ConfigError
from arawn.network.links import Refused

if TYPE_CHECKING:
    from arawn.network.deadlines import Clocks
    from arawn.network.links import Link


def require() -> None:
    """Raise ConfigError where the extra is not installed: it would be missed only in the middle."""
    try:
        import socksio  # noqa: F401 -- only asked whether it is there
    except ImportError:
        hint = "Install it: pip install 'arawn[socks]'"
        raise ConfigError("A SOCKS proxy needs the extra 'socks'", hints=(hint,)) from None


async def pass_through(link: Link, host: str, port: int, credentials: tuple[str, str], clocks: Clocks) -> None:
    """Ask a proxy for the way to a host, with user and password unless the user is empty. Raises Refused."""
    from socksio import SOCKSError, socks5

    talk = _Talk(link, clocks)
    try:
        await _authenticate(talk, credentials)
        request = socks5.SOCKS5CommandRequest.from_address(socks5.SOCKS5Command.CONNECT, (host, port))
        reply = await talk.ask(request, socks5.SOCKS5Reply)
    except SOCKSError as error:
        raise Refused(f"The proxy does not speak SOCKS 5: {error}") from None
    if reply.reply_code != socks5.SOCKS5ReplyCode.SUCCEEDED:
        raise Refused(f"The proxy cannot connect: {_words(reply.reply_code)}")


async def _authenticate(talk: _Talk, credentials: tuple[str, str]) -> None:
    from socksio import socks5

    methods = socks5.SOCKS5AuthMethod
    method = methods.USERNAME_PASSWORD if credentials[0] else methods.NO_AUTH_REQUIRED
    choice = await talk.ask(socks5.SOCKS5AuthMethodsRequest([method]), socks5.SOCKS5AuthReply)
    if choice.method != method:
        raise Refused(f"The proxy wants another way to log in: {_words(choice.method)}")
    if credentials[0]:
        user, password = (part.encode() for part in credentials)
        request = socks5.SOCKS5UsernamePasswordRequest(user, password)
        if not (await talk.ask(request, socks5.SOCKS5UsernamePasswordReply)).success:
            raise Refused("The proxy does not accept user and password")


class _Talk:
    """Requests and their replies, one after the other."""

    def __init__(self, link: Link, clocks: Clocks) -> None:
        from socksio import socks5

        self._state = socks5.SOCKS5Connection()
        self._link = link
        self._clocks = clocks

    async def ask(self, request: Any, kind: Any) -> Any:
        """Send a request and return its reply. Raises Refused for anything else."""
        self._state.send(request)
        await self._link.write(self._state.data_to_send(), self._clocks)
        reply = self._state.receive_data(await self._link.read(self._clocks))
        if not isinstance(reply, kind):
            raise Refused("The proxy does not speak SOCKS 5")
        return reply


def _words(code: Any) -> str:
    return str(getattr(code, "name", code)).replace("_", " ").lower()
