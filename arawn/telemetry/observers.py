"""The observers of calls that the settings name: the log, and OpenTelemetry."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from arawn.config.settings import Settings
    from arawn.messages import ChatRequest, Response
    from arawn.secrets.references import Secret
    from arawn.store.calls import Call
    from arawn.telemetry.attempts import Attempt
    from arawn.telemetry.log import EventLog
    from arawn.telemetry.otel import OpenTelemetry


class Observers:
    """The log and OpenTelemetry of an engine. ``secrets`` are the keys that it sends, added as they are looked up.

    ``warn`` is called with what cannot be written or sent. Close it: what is not sent by then is lost.
    """

    def __init__(self, settings: Settings, secrets: list[Secret]) -> None:
        self.warn: Callable[[str], object] = lambda _: None
        self._settings = settings
        self._secrets = secrets

    @cached_property
    def event_log(self) -> EventLog:
        """The log."""
        from arawn.folders import config_folder
        from arawn.telemetry.log import EventLog, log_path

        path = log_path(self._settings.value("log.file"), config_folder(self._settings.environ))
        self._secrets += _secrets_in_tables(self._settings)
        return EventLog(path, content=self._content, secrets=self._secrets, warn=self._warn)

    @cached_property
    def of_attempts(self) -> tuple[Callable[[Attempt], None], ...]:
        """What is called with every attempt. Raises ConfigError where OpenTelemetry is wanted and cannot be set up."""
        found: list[Callable[[Attempt], None]] = []
        if self._logs:
            from arawn.telemetry.attempts import log_attempt

            found.append(log_attempt(self.event_log))
        if self._otel is not None:
            found.append(self._otel)
        return tuple(found)

    def log(self, event: str, /, **fields: Any) -> None:
        """Write a line to the log."""
        if self._logs:
            self.event_log.write(event, **fields)

    def notify(
        self, call: Call, request: ChatRequest | None, response: Response | None, error: BaseException | None
    ) -> None:
        """Call every observer with an attempt that has ended."""
        if self.of_attempts:
            from arawn.telemetry.attempts import Attempt

            base_url = self._settings.backend(call.backend).base_url
            attempt = Attempt(call=call, request=request, response=response, error=error, base_url=base_url)
            for observer in self.of_attempts:
                observer(attempt)

    def close(self) -> None:
        """Send what is left."""
        if "_otel" in self.__dict__ and self._otel is not None:
            self._otel.close()

    @cached_property
    def _otel(self) -> OpenTelemetry | None:
        if not self._settings.value("log.otel"):
            return None
        from arawn.telemetry.otel import otel_attempt

        return otel_attempt(content=self._content, secrets=self._secrets, warn=self._warn)

    @property
    def _logs(self) -> bool:
        return bool(self._settings.value("log.file"))

    @property
    def _content(self) -> bool:
        return self._settings.value("log.content") is True

    def _warn(self, text: str) -> None:
        self.warn(text)


def _secrets_in_tables(settings: Settings) -> Iterator[Secret]:
    """Yield the secrets in headers and query parameters that the tables of backends add: a server may repeat them."""
    from arawn.secrets.references import Secret, mask

    for name in settings.backend_names:
        for table in ("headers", "query"):
            for key, value in (settings.value(f'backends."{name}".{table}') or {}).items():
                if isinstance(value, str) and mask(f"{key}: {value}") != f"{key}: {value}":
                    yield from (Secret(word, f"backends.{name}.{table}") for word in value.split())
