"""``arawn models``: the models of a backend, with what the catalogue knows of them, and another table for that."""

from __future__ import annotations

import os
import time
from json import dumps
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from arawn.cli.context import Context
from arawn.cli.groups import Command, Group
from arawn.cli.help import examples
from arawn.cli.report.tables import print_table
from arawn.dates import day
from arawn.engine.assembly import Engine
from arawn.errors import ConfigError, UsageError
from arawn.messages import ModelCard
from arawn.models import catalog
from arawn.models.prices import PRICE_FIELDS, Price, price_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arawn.models.catalog import ModelFacts
    from arawn.models.changes import TableChanges

HEADER = ("model", "context", "output", "$/M in", "$/M out", "abilities", "")
_HELP = ("-h", "--help")


class Models(Group):
    """The group: without the name of a command, its words are those of ``list``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words."""
        named = args[:1] and (args[0] in self.commands or args[0] in _HELP)
        if not named and not (ctx.resilient_parsing and not args):
            args = ["list", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=Models,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="""List models, and use another table of what they take and cost.

    "arawn models" is "arawn models list", with the same words after it.
    """,
    epilog=examples("arawn models -b groq", "arawn models sonnet --known", "arawn models update models.toml"),
)


@app.command("list", cls=Command, epilog=examples("arawn models -b groq", "arawn models sonnet -b anthropic --known"))
def list_models(
    ctx: typer.Context,
    search: Annotated[str, Argument(metavar="[WORD]", help="only ids that contain this", show_default=False)] = "",
    known: Annotated[bool, Option("--known", help="from the catalogue, without asking the backend")] = False,
    json: Annotated[bool, Option("--json", help="print a JSON array")] = False,
) -> None:
    """List the models of a backend, as the backend itself reports them, with what the catalogue knows of them.

    Without -b it is the backend of [llm]. Prices are those of now, in USD per million tokens; with ? what one source
    alone says, or sources disagree about. With --known retired models are listed too.
    """
    context: Context = ctx.obj
    engine = Engine.blocking(context.settings)
    name = context.backend or engine.choose(probe=not known).backend
    context.caution(context.settings.backend(name))
    now = time.time()
    rows = [_row(engine, name, card, now) for card in _cards(engine, name, known=known)]
    rows = [row for row in rows if search.lower() in row["id"].lower()]
    rows.sort(key=lambda row: row["retired"])
    if json:
        context.output.data(dumps(rows, ensure_ascii=False))
    elif rows:
        print_table(context.output, HEADER, [_cells(row) for row in rows])
    else:
        what = f'no model of {name} has "{search}" in its name' if search else f"no model of {name} is known"
        context.output.note(what)


@app.command(
    cls=Command,
    epilog=examples("arawn models update models.toml", "arawn models update https://example.org/models.toml --yes"),
)
def update(
    ctx: typer.Context,
    source: Annotated[str, Argument(metavar="[FILE|URL]", help="a table of models", show_default=False)] = "",
    yes: Annotated[bool, Option("--yes", "-y", help="use it also where a price falls")] = False,
    undo: Annotated[bool, Option("--undo", help="go back to the table before")] = False,
) -> None:
    """Use another table of models for what they take and cost: TOML, from a file or by https.

    It stands before the built-in one, for the backends it has. What it changes is shown first; where a price falls it
    asks, since budgets would count less. docs/models.md says what a table looks like.
    """
    from arawn.engine.model_table import restore_table, store_table
    from arawn.models.table import stored_text
    from arawn.store.learned import forget

    context: Context = ctx.obj
    path = catalog.stored_table(context.environ)
    if undo:
        context.output.note(f"in force again: {restore_table(path)}")
        forget(context.database)
        return
    table = _read(context, source)
    changes = _changes(table, path)
    now = time.time()
    _show(context, changes, now)
    if not yes:
        _ask(context, changes, source, now)
    store_table(path, stored_text(table))
    forget(context.database)  # what servers refused was of models as the other table had them
    context.output.note("stored; the table before: arawn models update --undo")


def _cards(engine: Engine, name: str, *, known: bool) -> Sequence[ModelCard]:
    if known:
        return [ModelCard(facts.id) for facts in catalog.all_models(name, engine.stored_table)]
    return sorted(engine.run(engine.lister(name).models()), key=lambda card: card.id)


def _row(engine: Engine, backend: str, card: ModelCard, now: float) -> dict[str, Any]:
    facts: ModelFacts | None = engine.facts(backend, card.id)
    known = facts or catalog.ModelFacts(backend=backend, id=card.id)
    price = price_at(known.prices, now) or Price()
    hint = next(iter(catalog.successor_hint(backend, card.id, day(now), engine.stored_table)), "") if facts else ""
    return {
        "id": card.id,
        "context_window": card.context_window or known.context_window,
        "max_output": card.max_output or known.max_output,
        **{f"{name}_price": _number(getattr(price, name)) for name in PRICE_FIELDS[:5]},
        "capabilities": sorted(known.capabilities),
        "retires": known.retires,
        "retired": known.retired(day(now)),
        "successor": known.successor,
        "note": hint or known.note,
        "source": known.source,
        "as_of": known.as_of,
        "sure": known.sure,
    }


def _number(amount: Any) -> float | None:
    return None if amount is None else float(amount)


def _cells(row: dict[str, Any]) -> list[str]:
    numbers = [row["context_window"], row["max_output"]]
    prices = [row["input_price"], row["output_price"]]
    unsure = "" if row["sure"] else "?"
    return [
        row["id"],
        *("-" if number is None else f"{number:,}" for number in numbers),
        *("-" if price is None else f"{price:g}{unsure}" for price in prices),
        " ".join(row["capabilities"]) or "-",
        row["note"].removeprefix(f'"{row["id"]}" '),
    ]


def _read(context: Context, source: str) -> dict[str, dict[str, Any]]:
    """Return the checked table that a file or an address holds, by backend."""
    from arawn.engine.model_table import read_table
    from arawn.models.table import parse_table

    if not source:
        hints = ["arawn models update FILE", "arawn models update https://HOST/models.toml"]
        raise UsageError("where is the table of models?", hints=hints)
    try:
        _, table = parse_table(read_table(source, context.environ))
    except ValueError as error:
        raise ConfigError(f"no table of models: {source}: {error}", hints=["nothing was changed"]) from None
    return table


def _changes(table: dict[str, dict[str, Any]], path: str) -> TableChanges:
    from arawn.models.changes import compare

    before = [facts for backend in table for facts in _in_force(backend, path)]
    return compare(before, [facts for backend, each in table.items() for facts in catalog.models_in(backend, each)])


def _in_force(backend: str, path: str) -> Sequence[ModelFacts]:
    try:
        return catalog.all_models(backend, path)
    except ConfigError:  # a table that cannot be read is no reason to keep it
        return catalog.all_models(backend)


def _show(context: Context, changes: TableChanges, now: float) -> None:
    from arawn.models.changes import describe, usd

    for facts in changes.added:
        context.output.line(f"+ {facts.backend}/{facts.id}: {usd(price_at(facts.prices, now))}")
    for before, after in changes.changed:
        context.output.line(f"~ {after.backend}/{after.id}: {describe(before, after, now)}")
    for facts in changes.removed:
        context.output.line(f"- {facts.backend}/{facts.id}")
    counts = (len(changes.added), "new"), (len(changes.changed), "changed"), (len(changes.removed), "gone")
    context.output.note(", ".join(f"{count} {word}" for count, word in counts))


def _ask(context: Context, changes: TableChanges, source: str, now: float) -> None:
    """Ask whether prices may fall. Raises UsageError where they may not, and where there is no terminal to ask on."""
    cheaper = changes.cheaper(day(now))
    if not cheaper:
        return
    names = ", ".join(f"{facts.backend}/{facts.id}" for facts in cheaper[:3])
    more = f" and {len(cheaper) - 3} more" if len(cheaper) > 3 else ""
    context.output.warning(f"a price falls, so budgets would count less: {names}{more}")
    if not (os.isatty(0) and context.output.stderr_tty):
        raise UsageError("nothing was changed", hints=[f"to use it all the same: arawn models update {source} --yes"])
    if input("use this table? [y/N] ").strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was changed")
