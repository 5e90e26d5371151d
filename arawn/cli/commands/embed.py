"""Turn texts into vectors: each argument, each line of standard input with --lines, or each file, is one text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from arawn.cli.prompt import read_text, standard_input
from arawn.engine.assembly import Engine
from arawn.errors import UsageError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator, Sequence

    from arawn.cli.context import Context

BATCH = 96
"""Texts in one request: below every service's limit."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what ``embed`` takes."""
    add = parser.add_argument
    add("words", nargs="*", metavar="TEXT", help="a text; each argument is one")
    add("-f", "--file", action="append", default=[], metavar="FILE", help="a text file; each is one text; repeatable")
    add("--lines", action="store_true", help="each line of standard input is a text of its own")
    add("--json", action="store_true", help="print one JSON object with model, usage and all vectors")


def run(context: Context) -> int:
    """Embed, and print a JSON array of numbers a text, each on a line of its own."""
    texts = _texts(context.arguments)
    engine = Engine.blocking(context.settings, database=context.database)
    choice = context.choose(engine, "embeddings")
    embedder = engine.embedder(choice)
    vectors: list[tuple[float, ...]] = []
    model, input_tokens, estimated = choice.model, 0, False
    for batch in batches(texts):
        found = engine.run(embedder.embed(batch))
        vectors += found.vectors
        model = found.model or model
        input_tokens += found.usage.input_tokens
        estimated = estimated or found.usage.estimated
    if context.arguments.json:
        usage = {"input_tokens": input_tokens, "estimated": estimated}
        context.output.data(
            json.dumps({"backend": choice.backend, "model": model, "usage": usage, "embeddings": vectors})
        )
        return 0
    for vector in vectors:
        context.output.data(json.dumps(vector))
    return 0


def batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut the texts into requests."""
    for start in range(0, len(texts), BATCH):
        yield texts[start : start + BATCH]


def _texts(arguments: Namespace) -> list[str]:
    texts = [*arguments.words, *(read_text(path) for path in arguments.file)]
    if arguments.lines:
        texts += [line for line in standard_input(expected=True).split("\n") if line.strip()]
    elif not texts and (piped := standard_input(expected=False)).strip():
        texts = [piped]
    if not texts:
        raise UsageError(
            "nothing to embed", hints=['arawn embed "a text"', "or one text a line: arawn embed --lines < FILE"]
        )
    return texts
