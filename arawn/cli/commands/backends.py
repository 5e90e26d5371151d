"""``arawn backends``: which backends are configured, and whether they answer."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer
from typer import Argument, Option

from arawn.answers.record import error_fields
from arawn.cli import options
from arawn.cli.context import Context
from arawn.cli.groups import Command
from arawn.cli.help import examples
from arawn.cli.output import Styled
from arawn.cli.report.tables import plain, table
from arawn.cli.signals import Interrupted
from arawn.config.roles import IN_PROCESS
from arawn.engine.assembly import Engine
from arawn.engine.health import HEALTH_TIMEOUT, check
from arawn.errors import ConnectionFailedError, UsageError
from arawn.network.proxies import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable

    from arawn.cli.report.tables import Cell
    from arawn.config.settings import BackendSettings, Settings
    from arawn.engine.health import Health

INTERVAL = 5.0
"""Seconds from one check of a watched backend to the next."""
HEADER = ("", "backend", "model", "endpoint", "key", "health")


app = options.new_app()


def _actions() -> list[str]:
    return ["list", "check"]


def _action(word: str) -> str:
    name = "list" if word == "ls" else word
    if name not in _actions():
        raise typer.BadParameter(f"{word!r} is not one of 'list', 'check'")
    return name


@app.command(
    cls=Command,
    epilog=examples("arawn backends", "arawn backends check groq", "arawn backends --watch --interval 30"),
)
def backends(
    ctx: typer.Context,
    action: Annotated[
        str,
        Argument(
            metavar="[list|check]",
            help="list all, or check one and exit with its failure",
            parser=_action,
            autocompletion=_actions,
            show_default=False,
        ),
    ] = "list",
    name: Annotated[
        str | None,
        Argument(
            metavar="[NAME]",
            help="the backend to check",
            autocompletion=options.names_of("backends"),
            show_default=False,
        ),
    ] = None,
    everything: Annotated[bool, Option("--all", help="show every backend, configured or not")] = False,
    offline: Annotated[bool, Option("--offline", help="send nothing, show only what is configured")] = False,
    watch: Annotated[bool, Option("--watch", help="check again and again, until Ctrl-C")] = False,
    interval: Annotated[
        float | None,
        Option("--interval", parser=options.positive_float, metavar="SECONDS", help=f"between checks ({INTERVAL:g})"),
    ] = None,
    json: Annotated[bool, Option("--json", help="print a JSON array; with --watch, an object a check")] = False,
) -> int:
    """Show which backends are configured and reachable: endpoint, key, latency, models.

    Each is checked in the cheapest way it offers, by its health_path or its list of models, all at the same time. Shown
    are those you configured, those whose key is set, and local servers that answer. --watch draws a table on a
    terminal, and writes one JSON object a check into anything else.
    """
    context: Context = ctx.obj
    if interval is not None and not watch:
        raise UsageError("--interval needs --watch")
    one = name or context.backend or context.settings.llm.backend if action == "check" else None
    if action == "check" and not one:
        raise UsageError("which backend?", hints=["arawn backends check NAME"])
    if watch:
        if offline:
            raise UsageError("--watch sends requests, --offline sends none: give one of them")
        return _watch(context, one, everything=everything, interval=interval or INTERVAL, as_json=json)
    if one:
        return _check_one(context, one, as_json=json)
    _list(context, everything=everything, offline=offline, as_json=json)
    return 0


def _list(context: Context, *, everything: bool, offline: bool, as_json: bool) -> None:
    settings, output = context.settings, context.output
    names = _names(settings, everything=everything)
    found: dict[str, Health | None] = dict.fromkeys(names)
    if not offline:
        for name in names:
            context.caution(settings.backend(name))
        found = _check_all(settings, names, animated=output.stdout_tty and not as_json)
    shown = [name for name in names if everything or _worth_showing(settings, name, found[name])]
    if as_json:
        output.data(dumps([_fields(settings, name, found[name]) for name in shown]))
    elif shown:
        for line in _lines(settings, {name: found[name] for name in shown}):
            output.line(*line)
    else:
        output.note("no backend is configured: arawn doctor says how to begin, --all shows what there could be")


def _names(settings: Settings, *, everything: bool) -> list[str]:
    """Return the backends to ask."""
    whole = [name for name, table in settings.tree["backends"].items() if "adapter" in table]
    return [name for name in whole if everything or _worth_asking(settings, name)]


def _watch(context: Context, one: str | None, *, everything: bool, interval: float, as_json: bool) -> int:
    from arawn.cli.commands.watch import watch

    settings = context.settings
    names = [one] if one else _names(settings, everything=everything)
    for name in names:
        context.caution(settings.backend(name))

    def is_shown(name: str, health: Health) -> bool:
        return bool(one) or everything or _worth_showing(settings, name, health)

    return watch(context.output, settings, names, interval=interval, is_shown=is_shown, as_json=as_json)


def _check_one(context: Context, name: str, *, as_json: bool) -> int:
    settings, output = context.settings, context.output
    context.caution(settings.backend(name))
    engine = Engine.blocking(settings)
    health = engine.run(check(engine, name))
    engine.close()
    if as_json:
        output.data(dumps(_fields(settings, name, health)))
    if health.error is not None:
        raise health.error
    if not as_json:
        address = settings.backend(name).base_url
        where = f"at {address}" if address else "in this process"
        output.line(_verdict(health), f" {name} {where}: {health}")
    return 0


def _check_all(settings: Settings, names: list[str], *, animated: bool) -> dict[str, Health | None]:
    """Check at the same time; where it is ``animated``, the table fills as the answers come."""
    import asyncio

    found: dict[str, Health | None] = dict.fromkeys(names)

    async def check_each(on_answer: Callable[[], None]) -> None:
        engine = Engine.asynchronous(settings, total_timeout=HEALTH_TIMEOUT)

        async def one(name: str) -> None:
            found[name] = await check(engine, name)
            on_answer()

        await asyncio.gather(*map(one, names))
        await engine.aclose()

    if not animated:
        asyncio.run(check_each(lambda: None))
        return found
    from rich.live import Live
    from rich.text import Text

    def drawn() -> Text:
        return Text("\n".join(plain(line) for line in _lines(settings, found)))

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
    """Whether anything of a backend is set beside what is built in."""
    return any(name in layer.tree.get("backends", {}) for layer in settings.layers if layer.name != "built-in")


def _worth_showing(settings: Settings, name: str, health: Health | None) -> bool:
    """Hide a built-in local server that does not run."""
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
    from arawn.secrets.references import mask

    return mask(backend.api_key) if backend.api_key.is_reference else "in the file"


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
