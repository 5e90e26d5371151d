"""Every recorded answer comes over a socket, through the real transport, in pieces, and says what it said."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from support.expected_answers import adapter_for, check, kind_of
from support.loopback import CHUNKED, Fin, Loopback, chunked, head
from support.optional_data import needs
from support.recordings import cut, promised, recordings
from support.transports import EVERY_TRANSPORT

from arawn.backends.http import HttpBackend
from arawn.errors import ArawnError, StreamInterruptedError
from arawn.events import ResponseBuilder
from arawn.messages import ChatRequest, Message, Role, Text
from arawn.network.endpoint import Endpoint

if TYPE_CHECKING:
    from support.recordings import Recording
    from support.transports import Runner

    from arawn.events import StreamEvent
    from arawn.network.transport import Transport

pytestmark = needs("ARAWN_RECORDINGS")

CHATS = ("openai-chat", "anthropic-messages", "openai-responses", "ollama-chat")
ANSWERS = recordings(lambda line: line["api"] in CHATS and line["status"] == 200)
GOOD = [case for case in ANSWERS if "error" not in case.values[0].expected]
BAD = [case for case in ANSWERS if "error" in case.values[0].expected]
STREAMS = [case for case in GOOD if case.values[0].stream]
FAILURES = recordings(lambda line: line["api"] in CHATS and line["status"] >= 400)
TYPES = {"response.sse": "text/event-stream", "response.ndjson": "application/x-ndjson"}


def served(recording: Recording, body: bytes, *, end: bool = True) -> list[bytes | Fin]:
    """The script of a server that sends the body in chunks cut at random, each recording always in the same way."""
    dice = random.Random(recording.folder.name)
    pieces = cut(body, [dice.randrange(len(body) + 1) for _ in range(12)])
    kind = recording.headers.get("content-type") or TYPES.get(recording.meta["response_file"], "application/json")
    start = head(recording.status, content_type=kind, headers=CHUNKED)
    return [start, *(chunked(piece, end=False) for piece in pieces if piece), *([b"0\r\n\r\n"] if end else [Fin()])]


def asked(
    recording: Recording, runner: Runner, script: list[bytes | Fin]
) -> tuple[list[StreamEvent], ArawnError | None]:
    """Return the events that came, and the error they ended with."""
    events: list[StreamEvent] = []

    async def story(transport: Transport) -> ArawnError | None:
        endpoint = Endpoint(
            name="here", label="Here", base_url=server.url, transport=transport, credential=lambda: None
        )
        question = (Message(Role.USER, (Text("hi"),)),)
        request = ChatRequest("the-model", question, stream=recording.stream)
        try:
            async for event in HttpBackend(endpoint, adapter_for(recording)).stream(request):
                events.append(event)  # noqa: PERF401 -- what came before an error counts
        except ArawnError as error:
            return error
        return None

    with Loopback(script) as server:
        return events, runner.play(story)


@EVERY_TRANSPORT
@pytest.mark.parametrize("recording", GOOD)
def test_an_answer_says_over_a_socket_what_it_said(recording: Recording, runner: Runner) -> None:
    events, error = asked(recording, runner, served(recording, recording.body))

    assert error is None
    check(recording, events)


@EVERY_TRANSPORT
@pytest.mark.parametrize("recording", STREAMS)
def test_r27_a_stream_cut_short_is_told_and_what_came_is_kept(recording: Recording, runner: Runner) -> None:
    place = random.Random(recording.folder.name).randrange(recording.complete_at)
    events, error = asked(recording, runner, served(recording, recording.body[:place], end=False))
    builder = ResponseBuilder()
    for event in events:
        builder.add(event)

    assert isinstance(error, StreamInterruptedError)
    assert promised(recording)["text"].startswith(builder.response().text)


@EVERY_TRANSPORT
@pytest.mark.parametrize("recording", [*BAD, *FAILURES])
def test_an_error_is_told_in_its_own_words(recording: Recording, runner: Runner) -> None:
    _, error = asked(recording, runner, served(recording, recording.body))

    assert error is not None
    assert recording.status == 200 or type(error) is kind_of(recording)
