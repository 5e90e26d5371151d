"""``arawn usage``: what calls took and cost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, TypeAlias

import typer
from typer import Argument, Option

from arawn import dates
from arawn.answers.report_json import call_fields, fields
from arawn.cli import options
from arawn.cli.context import Context
from arawn.cli.groups import Command, examples, try_help
from arawn.cli.output import Styled
from arawn.cli.report.bars import Bar, chart, shows_blocks
from arawn.cli.report.columns import NONE, Column, print_columns, terminal_columns
from arawn.cli.report.export import write_csv, write_json
from arawn.cli.report.figures import bill, duration, percent, tokens
from arawn.errors import UsageError
from arawn.store.calls import Call
from arawn.store.reports import By, Reports, Totals
from arawn.values import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from arawn.cli.output import Output
    from arawn.cli.report.tables import Cell
    from arawn.messages import Usage
    from arawn.store.reports import Report

Shape: TypeAlias = Literal["table", "json", "csv"]

_SHOWN = 20
_MOST = 31
"""Rows of a chart, and on a terminal of a table: there it shows the most expensive."""
_MANY_ERRORS = 0.1


app = options.new_app()


@app.command(
    cls=Command,
    epilog=examples("arawn usage", "arawn usage --by model --since 7d", "arawn usage --recent 5 --json"),
)
def usage(
    ctx: typer.Context,
    by: Annotated[By | None, Option("--by", help="group the calls by this (backend)")] = None,
    recent: Annotated[bool, Option("--recent", help=f"show the newest calls instead: N, or {_SHOWN}")] = False,
    count: Annotated[str | None, Argument(metavar="[N]", help="with --recent, how many", show_default=False)] = None,
    since: options.Since = None,
    json: options.AsJson = False,
    csv: Annotated[bool, Option("--csv", help="print CSV, without the line of totals")] = False,
) -> None:
    """Show what calls took and cost, by backend, model, day, session or role; without --since, of this month.

    Every attempt counts, also one that failed or was repeated. Days and months are those of UTC. An estimate is marked
    ~: the backend did not report its numbers. -b and -m count only the calls of one backend or model.
    """
    context: Context = ctx.obj
    options.exclusive({"--json": json, "--csv": csv})
    options.exclusive({"--recent": recent, "--by": by})
    if count is not None and not recent:
        raise UsageError("too many words", hints=[try_help(ctx)])
    shape: Shape = "json" if json else "csv" if csv else "table"
    only = {"backend": context.backend or "", "model": context.model or ""}
    begin = dates.since(since or (dates.EVER if recent else "month"), time.time())
    reports = Reports(context.database)
    if recent:
        number = options.positive_int(count, "--recent") if count else _SHOWN
        _show_calls(context.output, reports.recent(number, begin, **only), shape)
    else:
        _show_totals(context.output, by or "backend", reports.totals(by or "backend", begin, **only), begin, shape)
    for warning in context.database.warnings:
        context.output.warning(warning)


def _show_totals(output: Output, by: By, report: Report, since: float, shape: Shape) -> None:
    if shape == "json":
        groups = [fields(group, by) for group in report.groups]
        write_json(output, {"by": by, "since": since or None, "groups": groups, "total": fields(report.total)})
    elif shape == "csv":
        write_csv(output, [fields(group, by) for group in report.groups], like=fields(Totals(), by))
    elif report.groups:
        if output.paints:
            output.line(Styled(f"calls since {dates.shown(since)} UTC" if since else "all calls", "dim"))
        _print_totals(output, by, report)
    elif since:
        output.note(f"nothing was called since {dates.shown(since)} UTC; --since all counts all")
    else:
        output.note("nothing was called yet")


def _show_calls(output: Output, calls: Sequence[Call], shape: Shape) -> None:
    listed = [call_fields(call) for call in calls]
    if shape == "json":
        write_json(output, listed)
    elif shape == "csv":
        write_csv(output, listed, like=call_fields(Call(backend="", model="", began=0.0)))
    elif calls:
        print_columns(output, _CALL_COLUMNS, calls)
    else:
        output.note("nothing was called")


def _print_totals(output: Output, by: By, report: Report) -> None:
    """Print the table, and on a terminal a chart under it; there both show the most expensive, if there are many."""
    room, groups = terminal_columns(output), report.groups
    some = by != "day" and room is not None and len(groups) > _MOST
    rows = [_Row(group.key or NONE, group) for group in (groups[:_MOST] if some else groups)]
    print_columns(output, _columns(by), [*rows, _Row("total", report.total)])
    if room is None:
        return
    if some:
        output.note(f"the most expensive {_MOST} of {len(groups)}: --csv has all")
    _draw(output, by, groups[-_MOST:] if by == "day" else groups[:_MOST], room)


def _draw(output: Output, by: By, groups: Sequence[Totals], room: int) -> None:
    """Draw what the groups cost, or their tokens where nothing has a price."""
    priced = any(group.cost for group in groups)
    sizes = [float(group.cost or 0) if priced else float(group.usage.total_tokens) for group in groups]
    if not any(sizes):
        return
    bars = [
        Bar(
            group.title or group.key or f"no {by}",
            size / max(sizes),
            _bill(replace(group, unpriced=0)) if priced else _tokens(group.usage, "total_tokens"),
        )
        for group, size in zip(groups, sizes, strict=True)
    ]
    output.line()
    output.line(Styled(f"{'cost' if priced else 'tokens'} by {by}", "dim"))
    for row in chart(bars, room, blocks=shows_blocks()):
        output.line(*row)


class _Row(NamedTuple):
    name: str
    group: Totals


def _columns(by: By) -> list[Column]:
    title = Column("title", _title, 1, words=12)
    return [Column(by, lambda row: row.name, words=10), *_COLUMNS, *([title] if by == "session" else [])]


def _title(row: _Row) -> str:
    return row.group.title or (NONE if row.group.key else "")


def _count(name: str) -> Callable[[_Row], str]:
    return lambda row: f"{getattr(row.group, name) or NONE}"


def _used(name: str) -> Callable[[_Row], str]:
    return lambda row: _tokens(row.group.usage, name)


def _tokens(usage: Usage, name: str) -> str:
    count = getattr(usage, name)
    return ("~" if usage.estimated else "") + tokens(count) if count else NONE


def _time(name: str) -> Callable[[_Row], str]:
    return lambda row: _duration(getattr(row.group, name))


def _duration(milliseconds: float | None) -> str:
    return NONE if milliseconds is None else duration(milliseconds)


def _bill(group: Totals) -> str:
    """Return what a group cost; a dash where nothing was called."""
    if not group.calls and not group.cost:
        return NONE
    return bill(group.cost, group.unpriced, guessed=group.usage.estimated)


def _errors(row: _Row) -> Cell:
    rate = row.group.error_rate
    return NONE if not rate else Styled(percent(rate), "warning") if rate >= _MANY_ERRORS else percent(rate)


_COLUMNS = (
    Column("calls", _count("calls"), 1),
    Column("running", _count("running"), 3),
    Column("failed", _count("failed"), 4),
    Column("hits", _count("cached"), 7),
    Column("in", _used("input_tokens"), 2),
    Column("out", _used("output_tokens"), 2),
    Column("cached", _used("cache_read_tokens"), 6),
    Column("reasoning", _used("reasoning_tokens"), 8),
    Column("cost", lambda row: _bill(row.group)),
    Column("latency", _time("latency_ms"), 4),
    Column("first", _time("first_token_ms"), 5),
    Column("errors", _errors, 3),
)


def _outcome(call: Call) -> Cell:
    if call.outcome == "pending":
        return Styled("running", "dim")
    if call.error:
        return Styled(f"{call.outcome}: {call.error}", "error")
    return call.outcome if call.outcome in ("complete", "cached") else Styled(call.outcome, "warning")


def _price(call: Call) -> str:
    priced = call.outcome in ("complete", "interrupted", "abandoned")
    if call.cost is None:
        return "unknown" if priced else NONE
    return bill(call.cost, 0, guessed=call.usage.estimated) if priced or call.cost else NONE


_CALL_COLUMNS = (
    Column("time", lambda call: dates.local(call.began), words=16),
    Column("model", lambda call: f"{call.backend}/{call.model}", words=12),
    Column("role", lambda call: call.role, 8, words=8),
    Column("in", lambda call: _tokens(call.usage, "input_tokens"), 2),
    Column("out", lambda call: _tokens(call.usage, "output_tokens"), 2),
    Column("cost", _price),
    Column("latency", lambda call: _duration(call.latency_ms), 4),
    Column("first", lambda call: _duration(call.first_token_ms), 5),
    Column("retries", lambda call: str(call.retries or NONE), 6),
    Column("outcome", _outcome, 1, words=12),
)
