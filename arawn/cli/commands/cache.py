"""``arawn cache``: the cached responses."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from json import dumps
from typing import Annotated, Any

import typer

from arawn.cli import options
from arawn.cli.context import Context
from arawn.cli.groups import Command
from arawn.cli.help import examples
from arawn.cli.report.tables import print_table
from arawn.store.answers import DEFAULT_MAX_BYTES, DEFAULT_TTL, Answers, CacheStats
from arawn.store.database import Database
from arawn.store.learned import LearnedParameters, forget
from arawn.values import as_dict

HEADER = ("backend", "answers", "expired", "size", "hits", "oldest")

app = options.new_app(
    invoke_without_command=True,
    help="""Show and clear cached responses.

    Responses are cached, and used again for the same request, once that is switched on. Without a command the cache is
    shown; -b limits each command to one backend.
    """,
    epilog=examples("arawn config set cache.enabled true", "arawn cache", "arawn cache clear -b groq"),
)


@app.callback()
def cache(ctx: typer.Context, json: options.AsJson = False) -> None:
    """Show the cache where no command says otherwise."""
    if ctx.invoked_subcommand is None:
        _stats(ctx.obj, as_json=json)


@app.command(cls=Command, epilog=examples("arawn cache stats --json"))
def stats(ctx: typer.Context, json: options.AsJson = False) -> None:
    """Show how many responses are cached, how large they are, and how often they were used."""
    _stats(ctx.obj, as_json=json)


@app.command(
    cls=Command, epilog=examples("arawn cache clear", "arawn cache clear -b groq", "arawn cache clear --learned")
)
def clear(
    ctx: typer.Context,
    learned: Annotated[
        bool, typer.Option("--learned", help="instead, forget which parameters servers were found to refuse")
    ] = False,
    json: options.AsJson = False,
) -> None:
    """Remove all cached responses, or with -b those of one backend, from the disk too."""
    context: Context = ctx.obj
    backend = context.backend or ""
    remove = forget if learned else _clear_answers
    with _opened(context) as (database, exists):
        count = remove(database, backend) if exists else 0
    if json:
        context.output.data(dumps({"removed": count}))
    else:
        of = f" of {backend}" if backend else ""
        what = "refused parameter" if learned else "answer"
        context.output.note(f"removed: {count} {what}{'' if count == 1 else 's'}{of}")


def _clear_answers(database: Database, backend: str) -> int:
    return Answers(database).clear(backend)


@contextmanager
def _opened(context: Context) -> Iterator[tuple[Database, bool]]:
    """Open the store; say whether there is one. Where nothing was ever kept, no file is made to say so."""
    with Database.of_user(context.environ) as database:
        yield database, os.path.exists(database.path)
        for warning in database.warnings:
            context.output.warning(warning)


def _stats(context: Context, *, as_json: bool) -> None:
    value, output, only = context.settings.value, context.output, context.backend
    ttl, limit = value("cache.ttl") or DEFAULT_TTL, (value("cache.max_mb") or DEFAULT_MAX_BYTES / 1e6) * 1e6
    enabled = bool(value("cache.enabled"))
    with _opened(context) as (database, exists):
        found = Answers(database, ttl=ttl).stats() if exists else ()
        learned = LearnedParameters(database).all() if exists else {}
    shown = [each for each in found if only in (None, each.backend)]
    refused = {place: names for place, names in learned.items() if only in (None, place.backend)}
    if as_json:
        whole = {"enabled": enabled, "ttl": ttl, "max_bytes": int(limit), **_fields(_sum(shown))}
        backends = [{"backend": each.backend, **_fields(each)} for each in shown]
        known = [{**as_dict(place), "parameters": names} for place, names in refused.items()]
        output.data(dumps({**whole, "backends": backends, "learned": known}, ensure_ascii=False))
        return
    if shown:
        name, answers, expired, size, hits, oldest = _cells(_sum(shown))
        total = (name, answers, expired, f"{size} of {_size(limit)}", hits, oldest)
        print_table(output, HEADER, [*map(_cells, shown), total])
    else:
        output.note("no answer is kept" + (f" of {only}" if only else ""))
    for place, names in refused.items():
        output.note(f"refused by {place.backend} for {place.model}, and left out: {', '.join(names)}")
    if not enabled:
        output.note("the cache is off: arawn config set cache.enabled true")


def _sum(found: Sequence[CacheStats]) -> CacheStats:
    """Return what is kept of all of them."""
    return CacheStats(
        "all",
        answers=sum(each.answers for each in found),
        bytes=sum(each.bytes for each in found),
        hits=sum(each.hits for each in found),
        oldest=min((each.oldest for each in found), default=0.0),
        expired=sum(each.expired for each in found),
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
