"""Show which backends are configured and reachable: endpoint, key, latency, models.

Each is checked in the cheapest way it offers, by its health_path or its list of models, all at the same time. Shown
are those you configured, those whose key is set, and local servers that answer; --all shows every one. "check NAME"
checks one and exits with its failure. --watch checks again and again, until Ctrl-C: a table on a terminal, one JSON
object a check into anything else.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from arawn.answers.record import error_fields
from arawn.cli.commands.ask import positive_float
from arawn.cli.output import Styled
from arawn.cli.report.tables import plain, table
from arawn.cli.signals import Interrupted
from arawn.config.roles import IN_PROCESS
from arawn.engine.assembly import Engine
from arawn.engine.health import HEALTH_TIMEOUT, check
from arawn.errors import ConnectionFailedError, UsageError
from arawn.network.proxies import is_loopback

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable

    from arawn.cli.context import Context
    from arawn.cli.report.tables import Cell
    from arawn.config.settings import BackendSettings, Settings
    from arawn.engine.health import Health

INTERVAL = 5.0
"""Seconds from one check of a watched backend to the next."""
HEADER = ("", "backend", "model", "endpoint", "key", "health")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what ``backends`` takes."""
    parser.add_argument("action", nargs="?", choices=("list", "check"), default="list", help="list (default) or check")
    parser.add_argument("backend_name", nargs="?", metavar="NAME", help="the backend to check")
    parser.add_argument("--all", action="store_true", help="show every backend, configured or not")
    parser.add_argument("--offline", action="store_true", help="ask nobody, show only what is configured")
    parser.add_argument("--watch", action="store_true", help="check again and again, until Ctrl-C")
    parser.add_argument(
        "--interval", type=positive_float, metavar="SECONDS", help=f"how long from check to check ({INTERVAL:g})"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON array; with --watch, an object a check")


def run(context: Context) -> int:
    """Check and show."""
    arguments = context.arguments
    if arguments.watch:
        return _watch(context)
    if arguments.interval is not None:
        raise UsageError("--interval needs --watch")
    if arguments.action == "check":
        return _check_one(context)
    settings, names = context.settings, _names(context)
    found = dict.fromkeys(names) if arguments.offline else _check_all(context, names)
    shown = [name for name in names if arguments.all or _worth_showing(settings, name, found[name])]
    if arguments.json:
        context.output.data(json.dumps([_fields(settings, name, found[name]) for name in shown]))
    elif shown:
        for line in _lines(settings, {name: found[name] for name in shown}):
            context.output.line(*line)
    else:
        context.output.note("no backend is configured: arawn doctor says how to begin, --all shows what there could be")
    return 0


def _names(context: Context) -> list[str]:
    """Return the backends to ask."""
    settings = context.settings
    whole = [name for name, table in settings.tree["backends"].items() if "adapter" in table]
    return [name for name in whole if context.arguments.all or _worth_asking(settings, name)]


def _watch(context: Context) -> int:
    from arawn.cli.commands.watch import watch

    arguments, settings = context.arguments, context.settings
    if arguments.offline:
        raise UsageError("--watch asks, --offline asks nobody: give one of them")
    one = arguments.action == "check"
    names = [_name(context)] if one else _names(context)
    for name in names:
        context.caution(settings.backend(name))

    def is_shown(name: str, health: Health) -> bool:
        return one or arguments.all or _worth_showing(settings, name, health)

    return watch(context, names, interval=arguments.interval or INTERVAL, is_shown=is_shown)


def _name(context: Context) -> str:
    name: str | None = context.arguments.backend_name or context.option("backend") or context.settings.llm.backend
    if not name:
        raise UsageError("which backend?", hints=["arawn backends check NAME"])
    return name


def _check_one(context: Context) -> int:
    name = _name(context)
    context.caution(context.settings.backend(name))
    engine = Engine.blocking(context.settings)
    health = engine.run(check(engine, name))
    engine.close()
    if context.arguments.json:
        context.output.data(json.dumps(_fields(context.settings, name, health)))
    if health.error is not None:
        raise health.error
    if not context.arguments.json:
        address = context.settings.backend(name).base_url
        where = f"at {address}" if address else "in this process"
        context.output.line(_verdict(health), f" {name} {where}: {health}")
    return 0


def _check_all(context: Context, names: list[str]) -> dict[str, Health | None]:
    """Check at the same time; on a terminal the table fills as the answers come."""
    import asyncio

    for name in names:
        context.caution(context.settings.backend(name))
    found: dict[str, Health | None] = dict.fromkeys(names)

    async def check_each(tell: Callable[[], None]) -> None:
        engine = Engine.asynchronous(context.settings, total_timeout=HEALTH_TIMEOUT)

        async def one(name: str) -> None:
            found[name] = await check(engine, name)
            tell()

        await asyncio.gather(*map(one, names))
        await engine.aclose()

    if not context.output.stdout_tty or context.arguments.json:
        asyncio.run(check_each(lambda: None))
        return found
    from rich.live import Live
    from rich.text import Text

    def drawn() -> Text:
        return Text("\n".join(plain(line) for line in _lines(context.settings, found)))

    live = Live(drawn(), transient=True, auto_refresh=False)
    try:
        with live:
            asyncio.run(check_each(lambda: live.update(drawn(), refresh=True)))
    except Interrupted:
        live.console.show_cursor(True)  # it hides it before it is ready to bring it back
        raise
    return found


def _worth_asking(settings: Settings, name: str) -> bool:
    """Whether a backend is the user's: named in a file or variable, with its key set, or on this machine."""
    table = settings.backend(name)
    key = table.api_key or ""
    return (
        _is_own(settings, name)
        or name == settings.llm.backend
        or (key.startswith("$env:") and bool(settings.environ.get(key.removeprefix("$env:"))))
        or (not key and is_loopback(urlsplit(table.base_url).hostname or ""))
    )


def _is_own(settings: Settings, name: str) -> bool:
    """Whether anything of a backend was set by somebody."""
    return any(name in layer.tree.get("backends", {}) for layer in settings.layers if layer.name != "built-in")


def _worth_showing(settings: Settings, name: str, health: Health | None) -> bool:
    """Hide a built-in local server that does not run: nobody asked for it."""
    silent = health is not None and isinstance(health.error, ConnectionFailedError)
    local = is_loopback(urlsplit(settings.backend(name).base_url).hostname or "")
    return not (silent and local) or _is_own(settings, name) or name == settings.llm.backend


def _lines(settings: Settings, found: dict[str, Health | None]) -> list[list[Cell]]:
    rows = []
    for name, health in found.items():
        backend = settings.backend(name)
        mark = "*" if name == settings.llm.backend else ""
        where = backend.base_url or ("in this process" if backend.adapter in IN_PROCESS else "not set")
        rows.append((mark, name, _model(settings, backend) or "-", where, _key(backend), _state(health)))
    return table(HEADER, rows)


def _model(settings: Settings, backend: BackendSettings) -> str | None:
    """Return the model that answers where none is named."""
    return (settings.llm.model if backend.name == settings.llm.backend else None) or backend.model


def _state(health: Health | None) -> Cell:
    if health is None:
        return Styled("…", "dim")
    if health.error is None:
        verdict = _verdict(health)
        return verdict._replace(text=f"{verdict.text}  {health}")
    reason = f"{health.error.message}: {health.error.hints[0]}" if health.error.hints else health.error.message
    return Styled(reason, "error")


def _verdict(health: Health) -> Styled:
    return Styled(health.state, "warning" if health.slow else "good")


def _key(backend: BackendSettings) -> str:
    if backend.api_key is None:
        return "none"
    return backend.api_key if backend.api_key.is_reference else "in the file"


def _fields(settings: Settings, name: str, health: Health | None) -> dict[str, Any]:
    backend = settings.backend(name)
    return {
        "name": name,
        "label": backend.label,
        "adapter": backend.adapter,
        "base_url": backend.base_url,
        "model": _model(settings, backend),
        "key": _key(backend),
        "default": name == settings.llm.backend,
        "ok": None if health is None else health.error is None,
        "latency_ms": None if health is None else health.latency_ms,
        "models": None if health is None else health.models,
        "slow": None if health is None else health.slow,
        "reachable": None if health is None else health.reachable,
        "authenticated": None if health is None else health.authenticated,
        "error": None if health is None or health.error is None else error_fields(health.error),
    }
