"""A backend asked over HTTP (``endpoint``, ``asking``), and answers of Chat Completions for a server on loopback."""

from __future__ import annotations

import json
from contextlib import aclosing

from support.loopback import CHUNKED, chunked, head

from arawn.adapters.base import Quirks
from arawn.adapters.openai.chat import OpenAIChatAdapter
from arawn.backends.http import HttpBackend
from arawn.events import Started, TextDelta
from arawn.messages import ChatRequest, Message, Role, Text
from arawn.network.endpoint import Endpoint
from arawn.secrets.references import Secret

ASK = ChatRequest("m-1", (Message(Role.USER, (Text("Hello there"),)),))


def event(**fields):
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def delta(text="", finish_reason=None, answer_id="a1"):
    return event(
        id=answer_id, model="m-1", choices=[{"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}]
    )


USAGE = event(id="a1", model="m-1", choices=[], usage={"prompt_tokens": 7, "completion_tokens": 2})
DONE = b"data: [DONE]\n\n"
HALF = [head(headers=CHUNKED), chunked(delta("Half an answer\n\n"), end=False)]
STREAM = [delta("Good "), delta("day"), delta(finish_reason="stop"), USAGE, DONE]
WHOLE = json.dumps(
    {"id": "a1", "model": "m-1", "choices": [{"message": {"content": "Good day"}, "finish_reason": "stop"}]}
).encode()

ANSWER = [
    Started("local", "m-1", "a1"),
    TextDelta("Good "),
    TextDelta("day"),
]


def endpoint(transport, url, *, key="sk-canary", **fields):
    given = {"name": "local", "label": "Local", "base_url": f"{url}/v1", "transport": transport}
    secret = None if key is None else Secret(key, "$env:KEY")
    return Endpoint(**{**given, "credential": lambda: secret, **fields})


def asking(url, request=ASK, *, adapter=OpenAIChatAdapter, quirks=None, **fields):
    """A story that asks and gathers the events; ``found`` holds them also when the story fails."""
    found = []

    async def story(transport):
        backend = HttpBackend(endpoint(transport, url, **fields), adapter("local", quirks or Quirks()))
        async with aclosing(backend.stream(request)) as events:
            async for one in events:
                found.append(one)  # noqa: PERF401 -- what came before a failure counts
        return found

    story.found = found
    return story


def streamed(*parts, content_type="text/event-stream"):
    return [head(content_type=content_type, headers=CHUNKED), chunked(*parts)]


GOOD_DAY = streamed(delta("Good day"), delta(finish_reason="stop"), USAGE, DONE)
