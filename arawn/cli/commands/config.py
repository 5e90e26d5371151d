"""``arawn config``: show, change and check the configuration."""

from __future__ import annotations

import os
import time
from typing import Annotated

import typer
from typer import Argument, Option

from arawn.cli import options
from arawn.cli.commands import config_show
from arawn.cli.context import Context
from arawn.cli.groups import Command
from arawn.cli.help import examples
from arawn.cli.output import Output
from arawn.dates import day
from arawn.errors import ConfigError, UsageError

app = options.new_app(
    help="""Show, change and check the configuration.

    Layers, weakest first: built-in, system, user, project (.arawn.toml), environment, command line. "show --origin"
    says for each value which layer, file and line it comes from.
    """,
    epilog=examples(
        "arawn config set llm.backend groq",
        "arawn config show --origin",
        "arawn config show --secrets    # where each key comes from, and whether it is found",
    ),
)
Key = Annotated[str, Argument(metavar="KEY", help="like llm.model", autocompletion=options.names_of("keys"))]


@app.command(
    cls=Command, epilog=examples("arawn config show llm", "arawn config show --origin", "arawn config show --secrets")
)
def show(
    ctx: typer.Context,
    key: Annotated[
        str | None,
        Argument(
            metavar="[KEY]", help="only this key or table", autocompletion=options.names_of("keys"), show_default=False
        ),
    ] = None,
    origin: Annotated[bool, Option("--origin", help="say where each value comes from")] = False,
    secrets: Annotated[bool, Option("--secrets", help="look up every key and say whether it is found")] = False,
    everything: Annotated[bool, Option("--all", help="with everything built in, not only what is set")] = False,
    json: options.AsJson = False,
) -> None:
    """Show the merged configuration, as TOML."""
    context: Context = ctx.obj
    if secrets:
        config_show.show_secrets(context.output, context.settings, as_json=json)
        return
    shape: config_show.Shape = "json" if json else "origins" if origin else "toml"
    config_show.show(context.output, context.settings, key, everything=everything, shape=shape)


@app.command(cls=Command, epilog=examples("arawn config get llm.model", "arawn config get cache.ttl --origin"))
def get(
    ctx: typer.Context,
    key: Key,
    origin: Annotated[bool, Option("--origin", help="say where the value comes from")] = False,
) -> None:
    """Print the value in force of one key, be it set or its default."""
    config_show.get(ctx.obj.output, ctx.obj.settings, key, with_origin=origin)


@app.command(
    "set", cls=Command, epilog=examples("arawn config set llm.model opus", "arawn config set cache.enabled true")
)
def set_(
    ctx: typer.Context,
    key: Key,
    value: Annotated[
        str,
        Argument(
            metavar="VALUE",
            help="a word, a number, true, false, or TOML",
            autocompletion=options.names_of("values"),
        ),
    ],
) -> None:
    """Set one value in your file."""
    ctx.obj.user_file.put(key, value)


@app.command(cls=Command, epilog=examples("arawn config unset llm.model"))
def unset(ctx: typer.Context, key: Key) -> None:
    """Remove one value from your file."""
    ctx.obj.user_file.remove(key)


@app.command(cls=Command, epilog=examples("EDITOR=nano arawn config edit"))
def edit(ctx: typer.Context) -> int:
    """Open your file in $VISUAL or $EDITOR, and check it afterwards."""
    from arawn.config.generate import example
    from arawn.files import write_private

    context: Context = ctx.obj
    path = context.user_file.path
    if not os.path.exists(path):
        write_private(path, example().encode())
    with context.user_file.edited():
        return _edited(context, path)


@app.command(cls=Command, epilog=examples("arawn config path"))
def path(ctx: typer.Context) -> None:
    """Print which files are read."""
    from arawn.config.sources import locate

    context: Context = ctx.obj
    files = locate(environ=context.environ, cwd=os.getcwd(), config_file=context.config, project=not context.no_project)
    for name, found in files.items():
        state = "" if not found or os.path.exists(found) else "  (not there)"
        if found:
            context.output.line(f"{name:<8} {found}{state}")


@app.command(cls=Command, epilog=examples("arawn config init"))
def init(ctx: typer.Context) -> None:
    """Write a commented file to begin with."""
    from arawn.config.generate import example
    from arawn.files import write_private

    path = ctx.obj.user_file.path
    if os.path.exists(path):
        raise ConfigError(f"{path} is there already", hints=["arawn config edit"])
    write_private(path, example().encode())
    ctx.obj.output.line(f"written: {path}")


@app.command(cls=Command, epilog=examples("arawn config validate", "arawn config validate team.toml"))
def validate(
    ctx: typer.Context,
    file: Annotated[
        str | None, Argument(metavar="[FILE]", help="the file; else every layer", show_default=False)
    ] = None,
) -> int:
    """Check a file, or all of yours."""
    from arawn.config.sources import locate

    context: Context = ctx.obj
    if file:
        return _report(context, [file])
    files = locate(environ=context.environ, cwd=os.getcwd(), config_file=context.config)
    return _report(context, [path for path in files.values() if path and os.path.exists(path)])


@app.command(cls=Command, epilog=examples("arawn config schema > arawn.schema.json"))
def schema(ctx: typer.Context) -> None:
    """Print the JSON Schema for editors."""
    from json import dumps

    from arawn.config.generate import json_schema

    ctx.obj.output.data(dumps(json_schema(), indent=2))


@app.command(
    cls=Command, epilog=examples("arawn config trust", "arawn config trust --list", "arawn config trust --revoke")
)
def trust(
    ctx: typer.Context,
    file: Annotated[
        str | None, Argument(metavar="[FILE]", help="the file; else the nearest one", show_default=False)
    ] = None,
    revoke: Annotated[bool, Option("--revoke", help="trust it no longer")] = False,
    listing: Annotated[bool, Option("--list", help="list what is trusted")] = False,
) -> None:
    """Let a project's .arawn.toml set everything, as it is now."""
    from arawn.config.audit import open_changes
    from arawn.config.sources import locate, project_trust

    context: Context = ctx.obj
    known = project_trust(context.environ)
    if listing:
        for path in known.entries():
            context.output.line(path)
        return
    path = file or locate(environ=context.environ, cwd=os.getcwd()).get("project", "")
    if not path:
        raise UsageError("there is no .arawn.toml here or above", hints=["arawn config trust FILE"])
    if not revoke:
        _trust(context, path)
        return
    with open_changes(context.environ, context.output.warning) as changes:
        was_trusted = known.revoke(path, recording=changes.of_trust)
    if not was_trusted:
        raise UsageError(f"{path} was not trusted")
    context.output.line(f"no longer trusted: {path}")


def _trust(context: Context, path: str) -> None:
    from arawn.config.audit import open_changes
    from arawn.config.sources import project_trust
    from arawn.files import read_file
    from arawn.secrets.references import mask

    content = read_file(path, 1 << 20)
    with open_changes(context.environ, context.output.warning) as changes:
        project_trust(context.environ).trust(path, content, recording=changes.of_trust)
    for line in mask(content.decode("utf-8", "replace")).splitlines():
        context.output.line("  ", line)
    context.output.line(f"trusted as it is now, until a byte of it changes: {path}")


def _edited(context: Context, path: str) -> int:
    """Let the user edit a file, and again while it is wrong."""
    import shlex
    import subprocess

    environ = context.environ.raw  # a command line, whose quotes belong to it
    editor = shlex.split(environ.get("VISUAL") or environ.get("EDITOR") or "vi")
    while True:
        try:
            subprocess.run([*editor, path], check=False)  # noqa: S603 -- the user's own editor, on the user's own file
        except OSError as error:
            raise UsageError(f"cannot run the editor {editor[0]}: {error.strerror}", hints=["set EDITOR"]) from None
        if _report(context, [path]) == 0:
            return 0
        if not os.isatty(0) or input("edit it again? [Y/n] ").strip().lower() in ("n", "no"):
            return ConfigError.exit_code


def _report(context: Context, paths: list[str]) -> int:
    """Print everything that is wrong in the files; returns the exit code."""
    from arawn.config.sources import validate as problems_of

    output: Output = context.output
    folder, today = os.getcwd(), day(time.time())
    found = [each for path in paths for each in problems_of(path, environ=context.environ, cwd=folder, today=today)]
    for problem in found:
        output.line(str(problem))
    errors = sum(not problem.warning for problem in found)
    counts = ((len(paths), "file"), (errors, "error"), (len(found) - errors, "warning"))
    output.note(", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts))
    return ConfigError.exit_code if errors else 0
