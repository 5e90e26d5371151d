"""Show and clear the answers that are kept.

Answers are kept, and given again for the same request, once that is switched on: arawn config set cache.enabled true
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

from arawn.cli.report.tables import print_table
from arawn.store.answers import DEFAULT_MAX_BYTES, DEFAULT_TTL, Answers, CacheStats
from arawn.store.database import Database

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Sequence

    from arawn.cli.context import Context

HEADER = ("backend", "answers", "expired", "size", "hits", "oldest")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what ``cache`` takes."""
    from arawn.cli.parser import global_options

    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, text in (
        ("stats", "show how many answers are kept, how large they are, and how often they were given again"),
        ("clear", "remove all answers, or with -b those of one backend, from the disk too"),
    ):
        action = actions.add_parser(name, help=text, description=text, parents=[global_options()])
        action.add_argument("--json", action="store_true", help="print JSON")


def run(context: Context) -> int:
    """Do what was asked. Where nothing was ever kept, no file is made to say so."""
    action = {"stats": _stats, "clear": _clear}[context.arguments.action]
    with Database.of_user(context.environ) as database:
        action(context, database, exists=os.path.exists(database.path))
        for warning in database.warnings:
            context.output.warning(warning)
    return 0


def _stats(context: Context, database: Database, *, exists: bool) -> None:
    value, output, only = context.settings.value, context.output, context.option("backend")
    ttl, limit = value("cache.ttl") or DEFAULT_TTL, (value("cache.max_mb") or DEFAULT_MAX_BYTES / 1e6) * 1e6
    enabled = bool(value("cache.enabled"))
    tallies = Answers(database, ttl=ttl).stats() if exists else ()
    shown = [each for each in tallies if only in (None, each.backend)]
    if context.arguments.json:
        told = {"enabled": enabled, "ttl": ttl, "max_bytes": int(limit), **_fields(_sum(shown))}
        backends = [{"backend": each.backend, **_fields(each)} for each in shown]
        output.data(json.dumps({**told, "backends": backends}, ensure_ascii=False))
        return
    if shown:
        name, answers, expired, size, hits, oldest = _cells(_sum(shown))
        whole = (name, answers, expired, f"{size} of {_size(limit)}", hits, oldest)
        print_table(output, HEADER, [*map(_cells, shown), whole])
    else:
        output.note("no answer is kept" + (f" of {only}" if only else ""))
    if not enabled:
        output.note("the cache is off: arawn config set cache.enabled true")


def _clear(context: Context, database: Database, *, exists: bool) -> None:
    backend = context.option("backend", "")
    count = Answers(database).clear(backend) if exists else 0
    if context.arguments.json:
        context.output.data(json.dumps({"removed": count}))
    else:
        of = f" of {backend}" if backend else ""
        context.output.note(f"removed: {count} answer{'' if count == 1 else 's'}{of}")


def _sum(tallies: Sequence[CacheStats]) -> CacheStats:
    """Return what is kept of all of them."""
    return CacheStats(
        "all",
        answers=sum(each.answers for each in tallies),
        bytes=sum(each.bytes for each in tallies),
        hits=sum(each.hits for each in tallies),
        oldest=min((each.oldest for each in tallies), default=0.0),
        expired=sum(each.expired for each in tallies),
    )


def _fields(tally: CacheStats) -> dict[str, Any]:
    """Return what is kept as JSON; times are seconds since the epoch."""
    return {
        "answers": tally.answers,
        "expired": tally.expired,
        "bytes": tally.bytes,
        "hits": tally.hits,
        "oldest": tally.oldest if tally.answers else None,
    }


def _cells(tally: CacheStats) -> tuple[str, ...]:
    oldest = time.strftime("%Y-%m-%d %H:%M", time.localtime(tally.oldest))
    return tally.backend, str(tally.answers), str(tally.expired), _size(tally.bytes), str(tally.hits), oldest


def _size(count: float) -> str:
    """Return bytes as people read them."""
    return f"{count / 1e6:,.4g} MB" if count >= 1e6 else f"{count / 1e3:,.1f} kB"
