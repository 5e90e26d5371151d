"""Runs of ``arawn batch``: ``write`` the questions, run ``batch``, read the ``records`` or ``texts`` it wrote."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from support.processes import Home, Run

QUESTIONS, ANSWERS = "questions.jsonl", "answers.jsonl"
PRICED = '[models."m-1"]\ninput_price = 1.0\noutput_price = 2.0\n'
COST = 10 * 1e-6 + 5 * 2e-6
"""What one of its answers costs at these prices."""


def write(home: Home, lines: Iterable[Any]) -> None:
    """Write the questions; bytes stand there as they are."""
    written = (line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    (home.work / QUESTIONS).write_bytes(b"".join(line + b"\n" for line in written))


def batch(home: Home, *words: str, **options: Any) -> Run:
    """Run a batch over the questions."""
    return home.run("batch", QUESTIONS, "-o", ANSWERS, *words, **options)


def content(home: Home) -> bytes:
    """All that is in the file of answers."""
    return (home.work / ANSWERS).read_bytes()


def records(home: Home) -> list[dict[str, Any]]:
    """The complete records, in the order of the file."""
    *complete, _ = content(home).split(b"\n")
    return [json.loads(line) for line in complete]


def texts(home: Home) -> list[str]:
    """What was answered, in the order of the file."""
    return [record["text"] for record in records(home)]


def numbered(count: int) -> list[str]:
    """So many questions."""
    return [f"q{n}" for n in range(count)]


def answers_to(prompts: Iterable[str]) -> list[str]:
    """What the server answers to them."""
    return [f"re: {prompt}" for prompt in prompts]
