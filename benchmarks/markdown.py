"""Rendering: a streamed answer of 5,000 tokens as Markdown on a terminal, beside the same answer as plain text.

Both read the same server-sent events at the same pace; only the writing differs. ``python -m benchmarks.markdown
plain|live`` is what runs in the process that is measured.
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

_TOKENS = 5_000
_PER_SECOND = 400
_SIZE = (100, 30)


def rows(place: Place, peers: Peers) -> Iterator[Row]:  # noqa: ARG001 -- what every benchmark is given
    """Yield processor time and bytes of the rendered answer over those of the plain one."""
    words = [sys.executable, "-m", "benchmarks.markdown"]
    costs = compared({kind: Command([*words, kind], os.environ) for kind in ("plain", "live")}, 3)
    live, plain = costs["live"], costs["plain"]
    made_of = f"{live.cpu:.0f} ms / plain {plain.cpu:.0f} ms, {_TOKENS} tokens at {_PER_SECOND} a second"
    yield Row("Markdown while it streams, CPU", live.cpu / plain.cpu, TIMES, 2.0, made_of)
    final = _final_bytes()
    made_of = f"{live.printed} written / {final} of the finished rendering"
    yield Row("Markdown while it streams, bytes", live.printed / final, TIMES, 2.1, made_of)


def _answer() -> str:
    """Return prose, lists, code and tables in equal parts."""
    chance = random.Random(1)
    blocks: list[str] = []
    while sum(map(len, blocks)) < _TOKENS * 4:
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


def _final_bytes() -> int:
    from arawn.cli.render.markdown import render
    from arawn.cli.render.theme import DEFAULT

    return len(render(_answer(), _SIZE[0], DEFAULT, colour=True).encode())


def _stream(kind: str) -> None:
    from arawn.adapters.base import Quirks
    from arawn.adapters.openai.chat import OpenAIChatAdapter
    from arawn.events import TextDelta

    show, close = _live() if kind == "live" else _plain()
    parser, text = OpenAIChatAdapter("benchmark", Quirks()).stream_parser(), _answer()
    for at in range(0, len(text), 4):
        chunk = {"model": "m", "choices": [{"index": 0, "delta": {"content": text[at : at + 4]}}]}
        for event in parser.feed(f"data: {json.dumps(chunk)}\n\n".encode()):
            if isinstance(event, TextDelta):
                show(event.text)
        time.sleep(1 / _PER_SECOND)
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
    _stream(sys.argv[1])
