"""``arawn models``: the models of a backend, with what the catalogue knows of them."""

from __future__ import annotations

import time
from json import dumps
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from arawn.cli import options
from arawn.cli.context import Context
from arawn.cli.groups import Command
from arawn.cli.help import examples
from arawn.cli.report.tables import print_table
from arawn.dates import day
from arawn.engine.assembly import Engine
from arawn.messages import ModelCard
from arawn.models import catalog
from arawn.models.prices import Price, price_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arawn.models.catalog import ModelFacts

app = options.new_app()


@app.command(cls=Command, epilog=examples("arawn models -b groq", "arawn models sonnet -b anthropic --known"))
def models(
    ctx: typer.Context,
    search: Annotated[str, Argument(metavar="[WORD]", help="only ids that contain this", show_default=False)] = "",
    known: Annotated[bool, Option("--known", help="from the catalogue, without asking the backend")] = False,
    json: Annotated[bool, Option("--json", help="print a JSON array")] = False,
) -> None:
    """List the models of a backend, as the backend itself reports them, with what the catalogue knows of them.

    Without -b it is the backend of [llm]. Prices are in USD per million tokens.
    """
    context: Context = ctx.obj
    engine = Engine.blocking(context.settings)
    name = context.backend or engine.choose(probe=not known).backend
    context.caution(context.settings.backend(name))
    now = time.time()
    rows = [_row(engine, name, card, now) for card in _cards(engine, name, known=known)]
    rows = [row for row in rows if search.lower() in row["id"].lower()]
    if json:
        context.output.data(dumps(rows, ensure_ascii=False))
    elif rows:
        header = ("model", "context", "output", "$/M in", "$/M out", "abilities", "")
        print_table(context.output, header, [_cells(row) for row in rows])
    else:
        what = f'no model of {name} has "{search}" in its name' if search else f"no model of {name} is known"
        context.output.note(what)


def _cards(engine: Engine, name: str, *, known: bool) -> Sequence[ModelCard]:
    if known:
        return [ModelCard(facts.id) for facts in catalog.all_models(name, engine.stored_table)]
    return sorted(engine.run(engine.lister(name).models()), key=lambda card: card.id)


def _row(engine: Engine, backend: str, card: ModelCard, now: float) -> dict[str, Any]:
    facts: ModelFacts | None = engine.facts(backend, card.id)
    known = facts or catalog.ModelFacts(backend=backend, id=card.id)
    price = price_at(known.prices, now) or Price()
    return {
        "id": card.id,
        "context_window": card.context_window or known.context_window,
        "max_output": card.max_output or known.max_output,
        "input_price": None if price.input is None else float(price.input),
        "output_price": None if price.output is None else float(price.output),
        "capabilities": sorted(known.capabilities),
        "note": next(iter(catalog.successor_hint(backend, card.id, day(now), engine.stored_table)), "")
        if facts
        else "",
    }


def _cells(row: dict[str, Any]) -> list[str]:
    numbers = [row["context_window"], row["max_output"]]
    prices = [row["input_price"], row["output_price"]]
    return [
        row["id"],
        *("-" if number is None else f"{number:,}" for number in numbers),
        *("-" if price is None else f"{price:g}" for price in prices),
        " ".join(row["capabilities"]) or "-",
        row["note"],
    ]
