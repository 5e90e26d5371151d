"""Show, change and check the configuration.

Layers, weakest first: built-in, system, user, project (.arawn.toml), environment, command line. "show --origin" says
for each value which layer, file and line it comes from.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from arawn.cli.commands import config_show
from arawn.cli.commands.changing import changes_of
from arawn.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from arawn.cli.context import Context


_NOT_TEXT = ("strings", "integer", "number", "boolean", "map", "table")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what ``config`` takes."""
    from arawn.cli.parser import global_options

    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    shared: dict[str, Any] = {"parents": [global_options()]}

    def add(name: str, text: str) -> ArgumentParser:
        made: ArgumentParser = actions.add_parser(name, help=text, description=text, **shared)
        return made

    show = add("show", "show the merged configuration, as TOML")
    show.add_argument("key", nargs="?", metavar="KEY", help="only this key or table")
    show.add_argument("--origin", action="store_true", help="say where each value comes from")
    show.add_argument("--secrets", action="store_true", help="look up every key and say whether it is found")
    show.add_argument("--all", action="store_true", help="with everything built in, not only what is set")
    show.add_argument("--json", action="store_true", help="print JSON")
    add("get", "print one value").add_argument("key", metavar="KEY", help="like llm.model")
    setting = add("set", "set one value in your file")
    setting.add_argument("key", metavar="KEY", help="like llm.model, or backends.groq.model")
    setting.add_argument("value", metavar="VALUE", help="a word, a number, true, false, or TOML")
    add("unset", "remove one value from your file").add_argument("key", metavar="KEY", help="like llm.model")
    add("edit", "open your file in $VISUAL or $EDITOR, and check it afterwards")
    add("path", "print which files are read")
    add("init", "write a commented file to begin with")
    validate = add("validate", "check a file, or all of yours")
    validate.add_argument("path", nargs="?", metavar="FILE", help="the file; else every layer")
    add("schema", "print the JSON Schema for editors")
    trust = add("trust", "let a project's .arawn.toml set everything, as it is now")
    trust.add_argument("path", nargs="?", metavar="FILE", help="the file; else the nearest one")
    trust.add_argument("--revoke", action="store_true", help="trust it no longer")
    trust.add_argument("--list", action="store_true", help="list what is trusted")


def run(context: Context) -> int:
    """Do what was asked."""
    actions = {
        "show": config_show.show,
        "get": config_show.get,
        "set": _set,
        "unset": _unset,
        "edit": _edit,
        "path": _path,
        "init": _init,
        "validate": _validate,
        "schema": _schema,
        "trust": _trust,
    }
    return actions[context.arguments.action](context)


def _set(context: Context) -> int:
    put(context, context.arguments.key, context.arguments.value)
    return 0


def put(context: Context, key: str, text: str) -> None:
    """Set a key in the user's file to what a text says. Raises UsageError and ConfigError for what cannot be there."""
    from arawn.config.decode import value_problems
    from arawn.config.edit import parse_value, set_value
    from arawn.config.lines import split_key
    from arawn.config.schema import find
    from arawn.secrets.references import looks_like_secret

    known = find(split_key(key))
    if (known is not None and known.secret and not text.startswith("$")) or looks_like_secret(text):
        name = key.split(".")[1] if key.startswith("backends.") else "NAME"
        raise ConfigError(
            f"{key}: a key does not belong on a command line or in a file",
            hints=[f"keep it in the keyring: arawn secrets set {name}", "or name where it is: '$env:VARIABLE'"],
        )
    value = text if known is not None and known.kind not in _NOT_TEXT else parse_value(text)
    if known is not None and known.kind == "strings" and isinstance(value, str):
        value = [word.strip() for word in value.split(",") if word.strip()]
    for problem in value_problems(_nested(split_key(key), value), lambda _: "command line"):
        if problem.warning:
            raise UsageError(f"{key}: {problem.message}", hints=["arawn config schema lists every key"])
        raise ConfigError(f"{key}: {problem.message}")
    path = _own_file(context)
    with changes_of(context) as changes:
        set_value(path, key, value, recording=changes.of_key(_told(context, path)))


def _nested(parts: tuple[str, ...], value: object) -> dict[str, Any]:
    for part in reversed(parts):
        value = {part: value}
    assert isinstance(value, dict)
    return value


def _unset(context: Context) -> int:
    remove(context, context.arguments.key)
    return 0


def remove(context: Context, key: str) -> None:
    """Remove a key from the user's file. Raises ConfigError where it is not there."""
    from arawn.config.edit import unset_value

    path = _own_file(context)
    with changes_of(context) as changes:
        unset_value(path, key, recording=changes.of_key(_told(context, path)))


def _own_file(context: Context) -> str:
    """Return the user's file: the one --config names, else the user's own."""
    from arawn.config.sources import locate

    return locate(environ=context.environ, cwd=os.getcwd(), config_file=context.option("config_file"))["user"]


def _told(context: Context, path: str) -> str:
    """Return the path of the user's file as the audit log tells it: where another one was named."""
    from arawn.config.sources import locate

    environ = {name: value for name, value in context.environ.items() if name != "ARAWN_CONFIG"}
    return "" if locate(environ=environ, cwd=os.getcwd(), project=False)["user"] == path else os.path.abspath(path)


def _edit(context: Context) -> int:
    from arawn.config.generate import example
    from arawn.files import write_private

    path = _own_file(context)
    if not os.path.exists(path):
        write_private(path, example().encode())
    with changes_of(context) as changes, changes.of_file(path, with_path=bool(_told(context, path))):
        return _edited(context, path)


def _edited(context: Context, path: str) -> int:
    """Let the user edit a file, and again while it is wrong."""
    import shlex
    import subprocess

    editor = shlex.split(context.environ.get("VISUAL") or context.environ.get("EDITOR") or "vi")
    while True:
        try:
            subprocess.run([*editor, path], check=False)  # noqa: S603 -- the user's own editor, on the user's own file
        except OSError as error:
            raise UsageError(f"cannot run the editor {editor[0]}: {error.strerror}", hints=["set EDITOR"]) from None
        if _report(context, [path]) == 0:
            return 0
        if not os.isatty(0) or input("edit it again? [Y/n] ").strip().lower() in ("n", "no"):
            return ConfigError.exit_code


def _path(context: Context) -> int:
    from arawn.config.sources import locate

    files = locate(
        environ=context.environ,
        cwd=os.getcwd(),
        config_file=context.option("config_file"),
        project=not context.option("no_project", default=False),
    )
    for name, path in files.items():
        state = "" if not path or os.path.exists(path) else "  (not there)"
        if path:
            context.output.line(f"{name:<8} {path}{state}")
    return 0


def _init(context: Context) -> int:
    from arawn.config.generate import example
    from arawn.files import write_private

    path = _own_file(context)
    if os.path.exists(path):
        raise ConfigError(f"{path} is there already", hints=["arawn config edit"])
    write_private(path, example().encode())
    context.output.line(f"written: {path}")
    return 0


def _validate(context: Context) -> int:
    from arawn.config.sources import locate

    if context.arguments.path:
        return _report(context, [context.arguments.path])
    files = locate(environ=context.environ, cwd=os.getcwd(), config_file=context.option("config_file"))
    return _report(context, [path for path in files.values() if path and os.path.exists(path)])


def _report(context: Context, paths: list[str]) -> int:
    """Print everything that is wrong in the files; returns the exit code."""
    from arawn.config.sources import validate

    found = [problem for path in paths for problem in validate(path, environ=context.environ, cwd=os.getcwd())]
    for problem in found:
        context.output.line(str(problem))
    errors = sum(not problem.warning for problem in found)
    counts = ((len(paths), "file"), (errors, "error"), (len(found) - errors, "warning"))
    context.output.note(", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts))
    return ConfigError.exit_code if errors else 0


def _schema(context: Context) -> int:
    import json

    from arawn.config.generate import json_schema

    context.output.data(json.dumps(json_schema(), indent=2))
    return 0


def _trust(context: Context) -> int:
    from arawn.config.sources import locate, project_trust
    from arawn.files import read_file
    from arawn.secrets.references import mask

    trust = project_trust(context.environ)
    if context.arguments.list:
        for path in trust.entries():
            context.output.line(path)
        return 0
    path = context.arguments.path or locate(environ=context.environ, cwd=os.getcwd()).get("project", "")
    if not path:
        raise UsageError("there is no .arawn.toml here or above", hints=["arawn config trust FILE"])
    if context.arguments.revoke:
        with changes_of(context) as changes:
            known = trust.revoke(path, recording=changes.of_trust)
        if not known:
            raise UsageError(f"{path} was not trusted")
        context.output.line(f"no longer trusted: {path}")
        return 0
    content = read_file(path, 1 << 20)
    with changes_of(context) as changes:
        trust.trust(path, content, recording=changes.of_trust)
    for line in mask(content.decode("utf-8", "replace")).splitlines():
        context.output.line("  ", line)
    context.output.line(f"trusted as it is now, until a byte of it changes: {path}")
    return 0
