"""Every recorded stream cut short: told as incomplete, with what had come; never taken for an answer.

Each parser is tried at every byte. The connection's three ways to end (FIN, RST, a clean end of the chunks) are tried
at random bytes over a socket.
"""

from __future__ import annotations

import random
import time
from contextlib import aclosing
from copy import deepcopy
from typing import TYPE_CHECKING

from arawn.backends.http import HttpBackend
from arawn.engine import blocking
from arawn.errors import ArawnError, ConnectionFailedError, StreamInterruptedError
from arawn.events import Finished, ResponseBuilder
from arawn.messages import ChatRequest, Message, Role, Text
from arawn.network.endpoint import Endpoint
from arawn.network.routes import Route
from arawn.network.transport import BlockingTransport
from benchmarks.reliability import recorded
from benchmarks.reliability.score import Score
from tests.support.loopback import CHUNKED, Fin, Loopback, Rst, chunked, head
from tests.support.recordings import promised

if TYPE_CHECKING:
    from arawn.network.transport import Transport
    from tests.support.loopback import Step
    from tests.support.recordings import Recording

_ASK = ChatRequest("recorded", (Message(Role.USER, (Text("hi"),)),))


def score(times: int) -> Score:
    """Cut every stream at every byte, and ``times`` / 10 times over a socket for each way to end."""
    score = Score("every recorded stream cut at every byte; FIN, RST and clean end", "0 wrong")
    if not recorded.available():
        score.skipped = recorded.MISSING
        return score
    dice = random.Random(27)
    for recording in recorded.streams():
        _every_byte(score, recording)
        _over_a_socket(score, recording, max(1, times // 10), dice)
    return score


def _every_byte(score: Score, recording: Recording) -> None:
    """Feed byte by byte, and before each one ask a copy of the parser what it would say if that were the end."""
    parser, builder = recorded.adapter(recording).stream_parser(), ResponseBuilder()
    text = promised(recording)["text"]
    for place in range(min(recording.complete_at, len(recording.body))):
        problem = "told as complete"
        try:
            ended = any(isinstance(event, Finished) for event in deepcopy(parser).close())
        except StreamInterruptedError:
            ended, problem = False, ""
        except ArawnError as error:
            ended, problem = False, f"told as {error.kind}"
        kept = text.startswith(builder.response().text)
        problem = problem if not ended and kept else "finished before its end" if ended else "kept what never came"
        score.case(f"{recorded.name(recording)} at byte {place}", problem)
        for event in parser.feed(recording.body[place : place + 1]):
            builder.add(event)


def _over_a_socket(score: Score, recording: Recording, times: int, dice: random.Random) -> None:
    ends: dict[str, list[Step]] = {"clean end": [], "FIN": [Fin()], "RST": [Rst()]}
    for name, end in ends.items():
        places = [dice.randrange(min(recording.complete_at, len(recording.body))) for _ in range(times)]
        scripts = [_script(recording, place, end) for place in places]
        with Loopback(*scripts) as server:
            transport = BlockingTransport(Route({}))
            for place in places:
                problem = blocking.run(_asked(transport, server.url, recording))
                score.case(f"{recorded.name(recording)} at byte {place}, {name}", problem)
            blocking.run(transport.aclose())


def _script(recording: Recording, place: int, end: list[Step]) -> list[Step]:
    kind = "application/x-ndjson" if recording.api == "ollama-chat" else "text/event-stream"
    return [head(content_type=kind, headers=CHUNKED), chunked(recording.body[:place], end=not end), *end]


async def _asked(transport: Transport, url: str, recording: Recording) -> str:
    """Ask, and return what is wrong with how it ended. A reset may overtake the headers: then nothing was there."""
    endpoint = Endpoint(
        name="recorded",
        label="recorded",
        base_url=url,
        transport=transport,
        credential=lambda: None,
        monotonic=time.monotonic,
    )
    builder = ResponseBuilder()
    backend = HttpBackend(endpoint, recorded.adapter(recording))
    try:
        async with aclosing(backend.stream(_ASK)) as events:
            async for event in events:
                builder.add(event)
    except (StreamInterruptedError, ConnectionFailedError) as error:
        text = builder.response().text
        if text and isinstance(error, ConnectionFailedError):
            return "told as never connected, after text had come"
        return "" if promised(recording)["text"].startswith(text) else "kept what never came"
    except ArawnError as error:
        return f"told as {error.kind}"
    return "told as complete"
