"""``arawn budget``: what may be spent, and how much of it is."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from arawn.cli import options
from arawn.cli.context import Context
from arawn.cli.groups import Command
from arawn.cli.help import examples
from arawn.cli.report.bars import Bar, chart, shows_blocks
from arawn.cli.report.budget_status import WARNING_PERCENT, budget_statuses
from arawn.cli.report.columns import NONE, Column, print_columns, terminal_columns
from arawn.cli.report.export import write_json
from arawn.config.lines import join_key
from arawn.errors import UsageError
from arawn.models.money import money
from arawn.store.budgets import Period
from arawn.store.reports import close_abandoned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arawn.cli.output import Output
    from arawn.store.budgets import BudgetStatus

_AMOUNT = re.compile(r"\$?([0-9]{1,9}(?:\.[0-9]{1,12})?)")
_EACH = {"day": "a day", "month": "a month", "total": "in all"}


def usd(text: str) -> str:
    """Read an amount of USD. Raises UsageError for what is none."""
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{text!r} is no amount of USD", hints=["arawn budget set 20", "arawn budget set 0.50"])
    whole, dot, cents = found[1].partition(".")
    return f"{int(whole)}{dot}{cents}"


class _Set(Command):
    """Takes what looks like an amount below zero for one, not for an option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words. Raises UsageError for such an amount."""
        for word in args:
            if word[:1] == "-" and word[1:2].isdigit() and not ctx.resilient_parsing:
                usd(word)
        return super().parse_args(ctx, args)


app = options.new_app(
    invoke_without_command=True,
    help="""Show and set what may be spent: for all backends together, or with -b for one.

    Where a limit is reached, nothing more is sent there, and ask exits 9. Days and months are those of UTC. Without a
    command every budget is shown.
    """,
    epilog=examples("arawn budget set 20", "arawn budget set 0.50 -b openai --period day", "arawn budget"),
)


@app.callback()
def budget(ctx: typer.Context, json: options.AsJson = False) -> None:
    """Show every budget where no command says otherwise."""
    if ctx.invoked_subcommand is None:
        _show(ctx.obj, as_json=json)


@app.command(cls=Command, epilog=examples("arawn budget show --json"))
def show(ctx: typer.Context, json: options.AsJson = False) -> None:
    """Show each budget, and how much of it is left."""
    _show(ctx.obj, as_json=json)


@app.command("set", cls=_Set, epilog=examples("arawn budget set 20", "arawn budget set 0.50 -b openai --period day"))
def set_(
    ctx: typer.Context,
    amount: Annotated[str, Argument(parser=usd, metavar="AMOUNT", help="so many USD, like 20 or 0.50")],
    period: Annotated[
        Period | None, Option("--period", help="in which time; else as before, and month at first")
    ] = None,
) -> None:
    """Set how much may be spent, in all or with -b at one backend."""
    context: Context = ctx.obj
    backend = context.backend or ""
    if backend:
        context.settings.backend(backend)
    context.user_file.put(_key(backend, "limit"), amount)
    if period:
        context.user_file.put(_key(backend, "period"), period)
    _warn_of_stronger(context, backend)
    each = _EACH[period or context.settings.value(_key(backend, "period")) or "month"]
    context.output.line(f"{backend or 'all backends'}: {money(Decimal(amount))} {each}")


@app.command(cls=Command, epilog=examples("arawn budget unset", "arawn budget unset -b openai"))
def unset(ctx: typer.Context) -> None:
    """Remove a limit: that of all backends together, or with -b of one."""
    context: Context = ctx.obj
    backend = context.backend or ""
    context.user_file.remove(_key(backend, "limit"))
    if context.settings.origin(_key(backend, "period")).layer == "user":
        context.user_file.remove(_key(backend, "period"))
    _warn_of_stronger(context, backend)


def _show(context: Context, *, as_json: bool) -> None:
    output, database = context.output, context.database
    wanted = context.backend
    close_abandoned(database)
    found = [each for each in budget_statuses(context.settings, database) if wanted in (None, each.limit.scope)]
    if as_json:
        write_json(output, list(map(_fields, found)))
    elif found:
        print_columns(output, _COLUMNS, found)
        _draw(output, found)
    else:
        of = f" -b {wanted}" if wanted else ""
        output.note(f"no budget is set: arawn budget set AMOUNT{of}")
    for warning in database.warnings:
        output.warning(warning)


def _draw(output: Output, found: Sequence[BudgetStatus]) -> None:
    """Draw, on a terminal, how much of each budget is spent."""
    room = terminal_columns(output)
    if room is None:
        return
    bars = [Bar(_whose(each), each.percent / 100, f"{each.percent}%", _style(each)) for each in found]
    output.line()
    for row in chart(bars, room, blocks=shows_blocks(), track=True):
        output.line(*row)


def _warn_of_stronger(context: Context, backend: str) -> None:
    """Warn where something else than the user's file says how much may be spent."""
    origin = context.settings.origin(_key(backend, "limit"))
    if origin.layer in ("project", "environment"):
        context.output.warning(f"{origin.path} sets this budget too, and counts more than your file")


def _key(backend: str, name: str) -> str:
    return join_key(("budget", "backends", backend, name) if backend else ("budget", name))


def _whose(standing: BudgetStatus) -> str:
    return standing.limit.scope or "all"


def _style(standing: BudgetStatus) -> str:
    if standing.percent >= 100:
        return "error"
    return "warning" if standing.percent >= WARNING_PERCENT else "good"


def _ends(standing: BudgetStatus) -> str:
    """Return the first day (UTC) that is no longer in the window; empty where there is none."""
    from datetime import date, timedelta

    match standing.limit.period:
        case "total":
            return ""
        case "day":
            return str(date.fromisoformat(standing.window) + timedelta(1))
        case "month":
            return str((date.fromisoformat(f"{standing.window}-01") + timedelta(31)).replace(day=1))


def _fields(standing: BudgetStatus) -> dict[str, Any]:
    """Return a budget as JSON; money is in USD."""
    from arawn.answers.report_json import money_fields

    ends = _ends(standing)
    return {
        "backend": standing.limit.scope or None,
        "period": standing.limit.period,
        "window": standing.window,
        "ends": f"{ends}T00:00:00Z" if ends else None,
        **money_fields(
            limit=standing.limit.amount, spent=standing.spent, reserved=standing.reserved, left=standing.left
        ),
        "percent": standing.percent,
    }


_COLUMNS = (
    Column("budget", _whose, words=12),
    Column("limit", lambda each: money(each.limit.amount)),
    Column("spent", lambda each: money(each.spent)),
    Column("used", lambda each: f"{each.percent}%", 2),
    Column("reserved", lambda each: money(each.reserved) if each.reserved else NONE, 4),
    Column("left", lambda each: money(each.left), 1),
    Column("window", lambda each: each.window, 3, words=10),
    Column("ends (UTC)", lambda each: f"{_ends(each)} 00:00" if _ends(each) else NONE, 2, words=16),
)
