"""``arawn embed``: texts made into vectors."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from arawn.attachments.files import read_text
from arawn.cli import options
from arawn.cli.context import Context
from arawn.cli.groups import Command
from arawn.cli.help import examples
from arawn.engine.assembly import Engine
from arawn.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from arawn.cli.stdin import StandardInput

BATCH = 96
"""Texts in one request: below every service's limit."""

app = options.new_app()


@app.command(
    cls=Command,
    epilog=examples(
        'arawn embed "a text" "another"',
        "arawn embed --lines -b openai < sentences.txt",
        "arawn embed -f letter.txt --json | jq .embeddings[0]",
    ),
)
def embed(
    ctx: typer.Context,
    texts: Annotated[
        list[str] | None, Argument(metavar="[TEXT]...", help="a text; each argument is one", show_default=False)
    ] = None,
    file: Annotated[
        list[str] | None, Option("-f", "--file", metavar="FILE", help="a text file, one text each; repeatable")
    ] = None,
    lines: Annotated[bool, Option("--lines", help="each line of standard input is a text")] = False,
    json: Annotated[bool, Option("--json", help="print one JSON object with model, usage and all vectors")] = False,
) -> None:
    """Turn texts into vectors, and print a JSON array of numbers a text, each on a line of its own.

    Without TEXT and FILE, standard input is one text. The backend and model are those of [embeddings].
    """
    context: Context = ctx.obj
    found = _texts(texts or [], file or [], context.stdin, lines=lines)
    engine = Engine.blocking(context.settings, database=context.database)
    choice = context.choose(engine, "embeddings")
    embedder = engine.embedder(choice)
    vectors: list[tuple[float, ...]] = []
    model, input_tokens, estimated = choice.model, 0, False
    for batch in batches(found):
        answer = engine.run(embedder.embed(batch))
        vectors += answer.vectors
        model = answer.model or model
        input_tokens += answer.usage.input_tokens
        estimated = estimated or answer.usage.estimated
    if json:
        usage = {"input_tokens": input_tokens, "estimated": estimated}
        whole = {"backend": choice.backend, "model": model, "usage": usage, "embeddings": vectors}
        context.output.data(dumps(whole))
        return
    for vector in vectors:
        context.output.data(dumps(vector))


def batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut the texts into requests."""
    for start in range(0, len(texts), BATCH):
        yield texts[start : start + BATCH]


def _texts(words: Sequence[str], files: Sequence[str], stdin: StandardInput, *, lines: bool) -> list[str]:
    texts = [*words, *(stdin.text(expected=True) if path == "-" else read_text(path) for path in files)]
    if lines:
        texts += [line for line in stdin.text(expected=True).split("\n") if line.strip()]
    elif not texts and (piped := stdin.text()).strip():
        texts = [piped]
    if not texts:
        raise UsageError(
            "nothing to embed", hints=['arawn embed "a text"', "or one text a line: arawn embed --lines < FILE"]
        )
    return texts
