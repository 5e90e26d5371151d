"""Questions for the mock backend (``hello_request``), its ``answer``, and a sleep that does not wait."""

from __future__ import annotations

from arawn.engine.blocking import iterate, run
from arawn.events import collect
from arawn.messages import ChatRequest, LLMMessage


def hello_request(text="Hello"):
    return ChatRequest("tiny", (LLMMessage("system", "Be kind"), LLMMessage("user", text)))


def answer(backend, request=None):
    return run(collect(backend.stream(request or hello_request())))


def events_of(backend):
    return list(iterate(backend.stream(hello_request())))


class RecordedSleep:
    """A sleep that never suspends and remembers how long it was asked for."""

    def __init__(self):
        self.waits = []

    async def sleep(self, seconds):
        self.waits.append(seconds)
