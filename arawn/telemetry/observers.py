"""Who is told of calls, as the settings say: the log, and OpenTelemetry."""

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
    from arawn.telemetry.log import Journal
    from arawn.telemetry.otel import OpenTelemetry


class Watch:
    """The log and OpenTelemetry of an engine. ``secrets`` are the keys that it sends, added as they are looked up.

    ``warn`` is told what cannot be written or sent. Close it: what is not sent by then is lost.
    """

    def __init__(self, settings: Settings, secrets: list[Secret]) -> None:
        self.warn: Callable[[str], object] = lambda _: None
        self._settings = settings
        self._secrets = secrets

    @cached_property
    def journal(self) -> Journal:
        """The log."""
        from arawn.folders import config_folder
        from arawn.telemetry.log import Journal, place

        path = place(self._settings.value("log.file"), config_folder(self._settings.environ))
        self._secrets += _in_tables(self._settings)
        return Journal(path, content=self._content, secrets=self._secrets, tell=self._tell)

    @cached_property
    def observers(self) -> tuple[Callable[[Attempt], None], ...]:
        """Who is told of every attempt. Raises ConfigError where OpenTelemetry is wanted and cannot be told."""
        found: list[Callable[[Attempt], None]] = []
        if self._logs:
            from arawn.telemetry.attempts import log_attempt

            found.append(log_attempt(self.journal))
        if self._otel is not None:
            found.append(self._otel)
        return tuple(found)

    def tell(self, event: str, /, **fields: Any) -> None:
        """Write a line of the log."""
        if self._logs:
            self.journal.write(event, **fields)

    def observe(
        self, call: Call, request: ChatRequest | None, response: Response | None, error: BaseException | None
    ) -> None:
        """Tell of an attempt that has ended."""
        if self.observers:
            from arawn.telemetry.attempts import Attempt

            base_url = self._settings.backend(call.backend).base_url
            attempt = Attempt(call=call, request=request, response=response, error=error, base_url=base_url)
            for observer in self.observers:
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

        return otel_attempt(content=self._content, secrets=self._secrets, tell=self._tell)

    @property
    def _logs(self) -> bool:
        return bool(self._settings.value("log.file"))

    @property
    def _content(self) -> bool:
        return self._settings.value("log.content") is True

    def _tell(self, text: str) -> None:
        self.warn(text)


def _in_tables(settings: Settings) -> Iterator[Secret]:
    """Yield what opens a door in the headers and parameters that the tables of backends add: a server may repeat it."""
    from arawn.secrets.references import Secret, mask

    for name in settings.backend_names:
        for table in ("headers", "query"):
            for key, value in (settings.value(f'backends."{name}".{table}') or {}).items():
                if isinstance(value, str) and mask(f"{key}: {value}") != f"{key}: {value}":
                    yield from (Secret(word, f"backends.{name}.{table}") for word in value.split())
