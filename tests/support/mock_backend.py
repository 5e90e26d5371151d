"""The mock backend as a test asks it."""

from __future__ import annotations

from arawn.engine.blocking import iterate, run
from arawn.events import collect
from arawn.messages import ChatRequest, LLMMessage


def asked(text="Hello"):
    return ChatRequest("tiny", (LLMMessage("system", "Be kind"), LLMMessage("user", text)))


def answer(backend, request=None):
    return run(collect(backend.stream(request or asked())))


def events_of(backend):
    return list(iterate(backend.stream(asked())))


class Clock:
    """A sleep that never suspends and remembers how long it was asked for."""

    def __init__(self):
        self.waits = []

    async def sleep(self, seconds):
        self.waits.append(seconds)
