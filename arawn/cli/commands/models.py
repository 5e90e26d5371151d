"""List the models of a backend, as the backend itself says, with what the catalogue knows of them.

Without --backend: the backend of [llm]. With --known: what the catalogue knows, without asking anybody.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from arawn.cli.report.tables import print_table
from arawn.engine.assembly import Engine
from arawn.messages import ModelCard
from arawn.models import catalog

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Sequence

    from arawn.cli.context import Context
    from arawn.models.catalog import ModelFacts


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what ``models`` takes."""
    parser.add_argument("search", nargs="?", default="", metavar="WORD", help="only ids that contain this")
    parser.add_argument("--known", action="store_true", help="from the catalogue, without asking the backend")
    parser.add_argument("--json", action="store_true", help="print a JSON array")


def run(context: Context) -> int:
    """Print the models."""
    engine = Engine.blocking(context.settings)
    search, known = context.arguments.search, context.arguments.known
    name = context.option("backend") or engine.choose(probe=not known).backend
    context.caution(context.settings.backend(name))
    rows = [_row(engine, name, card) for card in _cards(engine, name, known=known)]
    rows = [row for row in rows if search.lower() in row["id"].lower()]
    if context.arguments.json:
        context.output.data(json.dumps(rows, ensure_ascii=False))
        return 0
    if not rows:
        what = f'no model of {name} has "{search}" in its name' if search else f"no model of {name} is known"
        context.output.note(what)
        return 0
    header = ("model", "context", "output", "$/M in", "$/M out", "abilities", "")
    print_table(context.output, header, [_cells(row) for row in rows])
    return 0


def _cards(engine: Engine, name: str, *, known: bool) -> Sequence[ModelCard]:
    if known:
        return [ModelCard(facts.id) for facts in catalog.all_models(name) if not facts.retired]
    return sorted(engine.run(engine.lister(name).models()), key=lambda card: card.id)


def _row(engine: Engine, backend: str, card: ModelCard) -> dict[str, Any]:
    facts: ModelFacts | None = engine.facts(backend, card.id)
    known = facts or catalog.ModelFacts(backend=backend, id=card.id)
    return {
        "id": card.id,
        "context_window": card.context_window or known.context_window,
        "max_output": card.max_output or known.max_output,
        "input_price": None if known.input_price is None else float(known.input_price),
        "output_price": None if known.output_price is None else float(known.output_price),
        "capabilities": sorted(known.capabilities),
        "note": next(iter(catalog.successor_hint(backend, card.id)), "") if facts else "",
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
