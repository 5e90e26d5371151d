"""Show what may be spent and how much of it is, or set a limit: for all backends together, or with -b for one.

Where a limit is reached, nothing more is sent there, and ask exits 9. Days and months are those of UTC.
"""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any, get_args

from arawn.cli.report.bars import Bar, chart, shows_blocks
from arawn.cli.report.budget_status import WARNING, standings
from arawn.cli.report.columns import NONE, Column, print_columns, terminal_columns
from arawn.config.lines import join_key
from arawn.errors import UsageError
from arawn.models.money import money
from arawn.store.budgets import Period
from arawn.store.reports import close_abandoned

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Sequence

    from arawn.cli.context import Context
    from arawn.cli.output import Output
    from arawn.store.budgets import BudgetStatus

_AMOUNT = re.compile(r"\$?([0-9]{1,9}(?:\.[0-9]{1,12})?)")
_EACH = {"day": "a day", "month": "a month", "total": "in all"}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what ``budget`` takes."""
    from arawn.cli.parser import global_options

    actions = parser.add_subparsers(dest="action", metavar="ACTION")

    def add(name: str, text: str) -> ArgumentParser:
        made: ArgumentParser = actions.add_parser(
            name, help=text, description=text, parents=[global_options()], conflict_handler="resolve"
        )
        whose = "the budget of this backend; else that of all together"
        made.add_argument("-b", "--backend", metavar="NAME", default=argparse.SUPPRESS, help=whose)
        return made

    add("show", "show each budget, and how much of it is left").add_argument(
        "--json", action="store_true", help="print a JSON array"
    )
    setting = add("set", "set how much may be spent")
    setting.add_argument("amount", type=amount, metavar="AMOUNT", help="so many USD, like 20 or 0.50")
    setting.add_argument("--period", choices=get_args(Period), help="in which time; else as before, and at first month")
    add("unset", "remove a limit")
    parser.set_defaults(json=False)


def run(context: Context) -> int:
    """Do what was asked; without an action, show."""
    actions = {"show": _show, "set": _set, "unset": _unset}
    actions[context.arguments.action or "show"](context)
    return 0


def amount(text: str) -> str:
    """Read an amount of USD. Raises UsageError for what is none."""
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{text!r} is no amount of USD", hints=["arawn budget set 20", "arawn budget set 0.50"])
    whole, dot, cents = found[1].partition(".")
    return f"{int(whole)}{dot}{cents}"


def _show(context: Context) -> None:
    output, database = context.output, context.database
    wanted = context.option("backend")
    close_abandoned(database)
    found = [each for each in standings(context.settings, database) if wanted in (None, each.limit.scope)]
    if context.arguments.json:
        from arawn.answers.report_json import write_json

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


def _set(context: Context) -> None:
    from arawn.cli.commands.config import put

    backend, period = context.option("backend", ""), context.arguments.period
    if backend:
        context.settings.backend(backend)
    put(context, _key(backend, "limit"), context.arguments.amount)
    if period:
        put(context, _key(backend, "period"), period)
    _tell_stronger(context, backend)
    from decimal import Decimal

    each = _EACH[period or context.settings.value(_key(backend, "period")) or "month"]
    context.output.line(f"{backend or 'all backends'}: {money(Decimal(context.arguments.amount))} {each}")


def _unset(context: Context) -> None:
    from arawn.cli.commands.config import remove

    backend = context.option("backend", "")
    remove(context, _key(backend, "limit"))
    if context.settings.origin(_key(backend, "period")).layer == "user":
        remove(context, _key(backend, "period"))
    _tell_stronger(context, backend)


def _tell_stronger(context: Context, backend: str) -> None:
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
    return "warning" if standing.percent >= WARNING else "good"


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
