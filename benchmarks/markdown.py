"""Rendering: a streamed answer as Markdown on a terminal, beside the same answer as plain text.

Both read the same server-sent events at the same pace; only the writing differs. ``python -m benchmarks.markdown
plain|live TOKENS`` is what runs in the process that is measured. Bytes are compared with the finished rendering: its
colours alone make that 1.3 times the text.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from typing import TYPE_CHECKING

from arawn.cli.output import write_all
from benchmarks.measure import Command, compared
from benchmarks.report import TIMES, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.peers import Peers
    from benchmarks.place import Place

_PACES = {5_000: 400, 50_000: 2_000}
"""Tokens of an answer, and how many come in a second."""
_ROUNDS = {5_000: 3, 50_000: 1}
_TURNS = 3
_SIZE = (100, 30)


def rows(place: Place, peers: Peers) -> Iterator[Row]:  # noqa: ARG001 -- what every benchmark is given
    """Yield processor time and bytes of the rendered answer over those of the plain one, and whether it is linear."""
    for tokens, pace in _PACES.items():
        words = [sys.executable, "-m", "benchmarks.markdown"]
        commands = {kind: Command([*words, kind, str(tokens)], os.environ) for kind in ("plain", "live")}
        costs = compared(commands, _ROUNDS[tokens])
        live, plain = costs["live"], costs["plain"]
        made_of = f"{live.cpu:.0f} ms / plain {plain.cpu:.0f} ms, {pace:,} tokens a second"
        yield Row(f"Markdown, {tokens:,} tokens, CPU", live.cpu / plain.cpu, TIMES, 2.0, made_of)
        final = _final_bytes(tokens)
        made_of = f"{live.printed:,} written / {final:,} of the finished rendering"
        yield Row(f"Markdown, {tokens:,} tokens, bytes", live.printed / final, TIMES, 1.2, made_of)
    turns = [[_drawing(tokens) for tokens in _PACES] for _ in range(_TURNS)]
    short, long = (min(found) for found in zip(*turns, strict=True))
    made_of = f"drawing alone: {long:.1f} µs / {short:.1f} µs, as at {_PACES[5_000]} tokens a second"
    yield Row("Markdown, a token of 50,000 beside one of 5,000, CPU", long / short, TIMES, 1.5, made_of)


def _drawing(tokens: int) -> float:
    """Return the microseconds a token takes to draw, by a clock that tells the time a real answer would take."""
    from arawn.cli.render.stream import LiveAnswer
    from arawn.cli.render.theme import DEFAULT

    text, now = _answer(tokens), [0.0]
    written: list[str] = []
    answer = LiveAnswer(
        written.append, size=lambda: _SIZE, mode="live", theme=DEFAULT, colour=True, monotonic=lambda: now[0]
    )
    began = time.process_time()
    for at in range(0, len(text), 4):
        now[0] += 1 / _PACES[5_000]
        answer.text(text[at : at + 4])
    answer.close()
    return (time.process_time() - began) / tokens * 1e6


def _answer(tokens: int) -> str:
    """Return prose, lists, code and tables in equal parts."""
    chance = random.Random(1)
    blocks: list[str] = []
    while sum(map(len, blocks)) < tokens * 4:
        words = [f"word{chance.randrange(1000)}" for _ in range(chance.randint(20, 80))]
        prose, name = " ".join(words), words[0]
        items = "".join(f"- **{name}** {' '.join(words[:9])}\n" for name in words[:5])
        code = "".join(f'def {name}(x):\n    """{prose[:30]}"""\n    return x + {len(name)}\n\n' for name in words[:4])
        table = "".join(f"| `{name}` | {' '.join(words[:6])} |\n" for name in words[:7])
        blocks += [
            f"## {name}\n\n{prose}\n\n",
            f"{items}\n",
            f"```python\n{code}```\n\n",
            f"| a | b |\n|---|---|\n{table}\n",
        ]
    return "".join(blocks)


def _final_bytes(tokens: int) -> int:
    from arawn.cli.render.markdown import render
    from arawn.cli.render.theme import DEFAULT

    return len(render(_answer(tokens), _SIZE[0], DEFAULT, colour=True).encode())


def _stream(kind: str, tokens: int) -> None:
    from arawn.adapters.base import Quirks
    from arawn.adapters.openai.chat import OpenAIChatAdapter
    from arawn.events import TextDelta

    show, close = _live() if kind == "live" else _plain()
    parser, text = OpenAIChatAdapter("benchmark", Quirks()).stream_parser(), _answer(tokens)
    for at in range(0, len(text), 4):
        chunk = {"model": "m", "choices": [{"index": 0, "delta": {"content": text[at : at + 4]}}]}
        for event in parser.feed(f"data: {json.dumps(chunk)}\n\n".encode()):
            if isinstance(event, TextDelta):
                show(event.text)
        time.sleep(1 / _PACES[tokens])
    close()


def _live() -> tuple[Callable[[str], None], Callable[[], None]]:
    from arawn.cli.render.stream import LiveAnswer
    from arawn.cli.render.theme import DEFAULT

    answer = LiveAnswer(_write, size=lambda: _SIZE, mode="live", theme=DEFAULT, colour=True)
    return answer.text, answer.close


def _plain() -> tuple[Callable[[str], None], Callable[[], None]]:
    from arawn.cli.guard import printable

    return lambda text: _write(printable(text)), lambda: None


def _write(text: str) -> None:
    write_all(1, text.encode())


if __name__ == "__main__":
    _stream(sys.argv[1], int(sys.argv[2]))
