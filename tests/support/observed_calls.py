"""``ObservedBackend``: calls through the real adapter, transport, meter and ledger, whose ends observers are told."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal

from arawn.adapters.base import Quirks
from arawn.adapters.openai.chat import OpenAIChatAdapter
from arawn.backends.http import HttpBackend
from arawn.engine.blocking import run, sleep
from arawn.errors import ArawnError
from arawn.events import collect
from arawn.messages import ChatRequest, Message, Role, Text
from arawn.middleware.errors import RedactSecrets
from arawn.middleware.meter import Accounting, Meter
from arawn.middleware.pricing import Pricing
from arawn.models.catalog import ModelFacts
from arawn.models.prices import Price
from arawn.network.endpoint import Endpoint
from arawn.network.routes import Route
from arawn.network.transport import BlockingTransport
from arawn.secrets.references import Secret
from arawn.store.database import Database
from arawn.store.ledger import Ledger
from arawn.telemetry.attempts import Attempt

KEY = "cAnary/+7f3aK9zQ=secret"
PROMPT = "Where does the heron nest in a cold spring?"
REQUEST = ChatRequest("m-1", (Message(Role.USER, (Text(PROMPT),)),))
PRICES = ModelFacts(backend="here", id="m-1", prices=(Price(input=Decimal(1), output=Decimal("2.5")),))


class ObservedBackend:
    """A backend at a server on loopback; ``observers`` are told of every call, ``secrets`` are the keys it sent."""

    def __init__(self, url, folder, *observers):
        self.secrets = []
        self.observers = list(observers)
        self._url = f"{url}/v1"
        self._file = str(folder / "arawn.db")

    def ask(self, request=REQUEST):
        """Ask, and let a failure be; return the answer, None where there is none."""
        transport = BlockingTransport(Route({}))
        with Database(self._file) as database, suppress(ArawnError):
            try:
                return run(collect(self._backend(transport, database).stream(request)))
            finally:
                run(transport.aclose())
        return None

    def leave(self, after, request=REQUEST):
        """Ask, and stop reading after so many events."""

        async def some():
            events = self._backend(transport, database).stream(request)
            for _ in range(after):
                await anext(events)
            await events.aclose()
            await transport.aclose()

        transport = BlockingTransport(Route({}))
        with Database(self._file) as database:
            run(some())

    def _backend(self, transport, database):
        endpoint = Endpoint(
            name="here", label="Here", base_url=self._url, transport=transport, credential=self._credential
        )
        accounting = Accounting(Ledger(database), sleep=sleep, notify=self._observe, log=lambda *_, **__: None)
        bare = RedactSecrets(HttpBackend(endpoint, OpenAIChatAdapter("here", Quirks())), self.secrets)
        return Meter(bare, accounting, Pricing(backend="here", model="m-1", facts=PRICES))

    def _credential(self):
        self.secrets.append(Secret(KEY, "$env:KEY"))
        return self.secrets[-1]

    def _observe(self, call, request, response, error):
        attempt = Attempt(call=call, request=request, response=response, error=error, base_url=self._url)
        for observer in self.observers:
            observer(attempt)
