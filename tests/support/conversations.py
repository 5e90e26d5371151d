"""Conversations with mock backends: a ``session`` with them, what they were sent, and what was stored."""

from __future__ import annotations

from contextlib import aclosing
from typing import NamedTuple

from arawn.backends.mock import MockBackend, MockResponse
from arawn.engine.blocking import iterate, sleep
from arawn.errors import ConfigError
from arawn.models.catalog import ModelFacts, cost
from arawn.session.session import Session
from arawn.store.database import Database
from arawn.store.sessions import Sessions


class Choice(NamedTuple):
    backend: str
    model: str


class MockBackends:
    """Scripted backends by name; what it calls indexing is the backend of that name, where there is one."""

    def __init__(self, **backends):
        self.backends = backends
        self.known = {}

    def choose(self, backend=None, model=None, role="llm"):
        name = "indexing" if role == "indexing" else backend or next(iter(self.backends))
        if name not in self.backends:
            raise ConfigError(f'no backend "{name}"')
        return Choice(name, model or f"{name}-1")

    def backend(self, choice):
        return self.backends[choice.backend]

    def complete(self, request, choice):
        return request

    def facts(self, backend, model):
        return self.known.get(backend)

    def cost(self, response, choice):
        return cost(response.usage, self.facts(choice.backend, choice.model), 0.0)

    def knows(self, backend, **facts):
        self.known[backend] = ModelFacts(backend=backend, id=f"{backend}-1", **facts)


def scripted_backend(*replies, name="mock"):
    """A backend with these replies, in order; a text, or what MockResponse makes."""
    backend = MockBackend(name, sleep=sleep)
    for reply in replies:
        backend.with_response(MockResponse.text(reply) if isinstance(reply, str) else reply)
    return backend


def echo_backend(name="mock"):
    return MockBackend.echo(name, sleep=sleep)


def session(bench, store=None, **options):
    return Session(bench, bench.choose(), sessions=store, **options)


def store_in(folder, **options):
    return Sessions(Database(str(folder / "arawn.db")), **options)


def collect_events(events):
    """Read a whole stream without an event loop."""
    return list(iterate(events))


def interrupted_reply(text):
    """A reply that breaks off after half its text."""
    return MockResponse.error("interrupted", text=text)


def stored_messages(store, conversation):
    """What the store has of a conversation: each message's text and how it ended."""
    return [(each.message.text, each.status) for each in store.load(conversation.id).entries]


def send_all(conversation, *words):
    for word in words:
        collect_events(conversation.send(word))
    return conversation


def texts(messages):
    return [message.text for message in messages]


def sent_messages(backend, call=-1):
    """What the backend was sent: each message's role and text."""
    return [(message.role.value, message.text) for message in backend.requests[call].messages]


class ManualClock:
    """A clock that is set by hand."""

    def __init__(self, start=0.0):
        self.now = start

    def __call__(self):
        return self.now


async def read_events(events, count=-1):
    """Read so many events, all where it is below 0, and leave as one should."""
    found = []
    async with aclosing(events):
        async for event in events:
            found.append(event)
            if len(found) == count:
                break
    return found
