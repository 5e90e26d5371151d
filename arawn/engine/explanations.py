"""What the configuration adds to an error: where the address came from, why no key was sent, what decided a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.config.lines import join_key
from arawn.errors import AuthenticationError, ConnectionFailedError, ModelNotAvailableError, ProtocolError

if TYPE_CHECKING:
    from arawn.config.settings import BackendSettings, Settings
    from arawn.errors import BackendError
    from arawn.network.deadlines import DeadlineName

_OF_AN_ADDRESS = (AuthenticationError, ConnectionFailedError, ModelNotAvailableError, ProtocolError)
"""The errors that a wrong address may be the cause of."""
_NOT_FOUND = 404


def hints_for(settings: Settings, table: BackendSettings, error: BackendError) -> tuple[str, ...]:
    """Return hints for an error of a backend: a missing key, and an address that comes from a variable."""
    found: list[str] = []
    if isinstance(error, AuthenticationError) and (variable := table.api_key_unset):
        found.append(f"no key was sent: {variable} is not set")
    if isinstance(error, AuthenticationError) and (error.status is None or table.api_key_unset):
        from arawn.config.env_file import env_file_hints

        key = table.api_key or ""
        found += env_file_hints([table.api_key_unset or key.removeprefix("$env:")])
    origin = settings.origin(join_key(("backends", table.name, "base_url")))
    if origin.layer == "environment" and (isinstance(error, _OF_AN_ADDRESS) or error.status == _NOT_FOUND):
        found.append(f"the address {table.base_url} comes from {origin.path}")
    return tuple(found)


def deciding_settings(settings: Settings, table: BackendSettings, *, given_total: bool) -> dict[DeadlineName, str]:
    """Return by deadline the setting that decided it, with its origin; ``given_total`` where --timeout did."""

    def described(key: str, of_all: str = "") -> str:
        dotted = of_all or join_key(("backends", table.name, key))
        origin = settings.origin(dotted)
        place = f"{origin.path}:{origin.line}" if origin.line else origin.path or origin.layer
        return f"{dotted} ({origin.layer if origin.layer == 'built-in' else place})"

    silence = described("timeout", "llm.timeout" if settings.llm.timeout else "")
    longer = (table.first_event_timeout or 0) > (settings.llm.timeout or table.timeout)
    return {
        "connect": described("connect_timeout"),
        "first event": described("first_event_timeout") if longer else silence,
        "idle": silence,
        "total": "--timeout" if given_total else described("total_timeout"),
    }
