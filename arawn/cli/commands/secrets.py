"""``arawn secrets``: API keys in the system's keyring."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from json import dumps
from typing import Annotated

import typer
from typer import Argument, Option

from arawn.cli import options
from arawn.cli.context import Context
from arawn.cli.groups import Command
from arawn.cli.help import examples
from arawn.cli.report.tables import print_table
from arawn.engine.factory import bindings_of
from arawn.errors import UsageError
from arawn.secrets.bindings import Bindings
from arawn.texts import require_valid

app = options.new_app(
    invoke_without_command=True,
    help="""Keep API keys in the system's keyring.

    A key is typed at a hidden prompt or piped in, never given as an option.

    A stored key is bound to the scheme, host and port of the backend it is for, and is sent nowhere else until
    "arawn secrets allow" says so. Without a command the stored keys are listed.

    A password manager can give a key instead: arawn config set backends.NAME.api_key '$cmd:pass show NAME'
    """,
    epilog=examples("arawn secrets set anthropic", "arawn secrets set groq < key.txt", "arawn secrets list"),
)
Name = Annotated[
    str, Argument(metavar="NAME", help="its name; by custom the backend's", autocompletion=options.names_of("secrets"))
]
NewName = Annotated[
    str,
    Argument(metavar="NAME", help="its name; by custom the backend's", autocompletion=options.names_of("new secrets")),
]


@app.callback()
def secrets(ctx: typer.Context, json: options.AsJson = False) -> None:
    """List the stored keys where no command says otherwise."""
    if ctx.invoked_subcommand is None:
        _list(ctx.obj, as_json=json)


@app.command("list", cls=Command, epilog=examples("arawn secrets list --json"))
def list_(ctx: typer.Context, json: options.AsJson = False) -> None:
    """List the names of stored keys and where each may be sent."""
    _list(ctx.obj, as_json=json)


@app.command(
    "set",
    cls=Command,
    epilog=examples("arawn secrets set anthropic", "arawn secrets set proxy --for https://llm.example.org < key.txt"),
)
def set_(
    ctx: typer.Context,
    name: NewName,
    typed_key: Annotated[list[str] | None, Argument(hidden=True)] = None,
    url: Annotated[
        str | None, Option("--for", metavar="URL", help="the address it may go to; else that of the backend NAME")
    ] = None,
    allow_keyring: Annotated[
        str,
        Option("--allow-keyring", metavar="CLASS", help="store also in this unsafe keyring class", show_default=False),
    ] = "",
) -> None:
    """Store a key, from a hidden prompt or standard input."""
    from arawn.secrets.keychain import Keychain
    from arawn.secrets.references import store_secret

    if typed_key:
        raise UsageError(
            "a key does not belong on a command line: others can read it there, and your shell remembers it",
            hints=[f"type it at a hidden prompt: arawn secrets set {name}", f"or: arawn secrets set {name} < FILE"],
        )
    context: Context = ctx.obj
    settings, bindings = context.settings, bindings_of(context.settings)
    url = url or (settings.backend(name).base_url if name in settings.backend_names else "")
    if not url:
        raise UsageError(
            f'where may the secret "{name}" go? there is no backend of that name with an address',
            hints=[f"arawn secrets set {name} --for https://host"],
        )
    keychain = Keychain(allow_backend=allow_keyring)
    typed = _typed(name)
    with _recorded(context, name, bindings, always=True):
        secret = store_secret(name, typed, url, bindings=bindings, keychain=keychain)
    context.output.line(f"stored {secret.tail()} as $keyring:{name}, for {bindings.origins(name)[0]} only")
    if name in settings.backend_names and settings.backend(name).api_key != f"$keyring:{name}":
        context.output.line(f"  use it: arawn config set backends.{name}.api_key '$keyring:{name}'")


@app.command(cls=Command, epilog=examples("arawn secrets allow anthropic --for https://proxy.example.org"))
def allow(
    ctx: typer.Context,
    name: Name,
    url: Annotated[str, Option("--for", metavar="URL", help="scheme, host and port")],
) -> None:
    """Allow a stored key to be sent to one more address."""
    context: Context = ctx.obj
    bindings = bindings_of(context.settings)
    with _recorded(context, name, bindings):
        bindings.bind(name, url)
    context.output.line(f'the secret "{name}" may go to {" and ".join(bindings.origins(name))}')


@app.command(cls=Command, epilog=examples("arawn secrets delete anthropic"))
def delete(ctx: typer.Context, name: Name) -> None:
    """Remove a key from the keyring."""
    from arawn.secrets.references import delete_secret

    context: Context = ctx.obj
    bindings = bindings_of(context.settings)
    with _recorded(context, name, bindings, always=True):
        if not delete_secret(name, bindings=bindings):
            raise UsageError(f'the keyring has no secret "{name}"', hints=["arawn secrets list"])
    context.output.line(f'deleted "{name}"')


def _typed(name: str) -> str:
    if not os.isatty(0):
        with open(0, encoding="utf-8", errors="surrogateescape", closefd=False) as stream:
            line = stream.readline()
        require_valid(line, "the key on standard input")
        return line
    from getpass import getpass

    return getpass(f"key for {name} (not shown): ")


@contextmanager
def _recorded(context: Context, name: str, bindings: Bindings, *, always: bool = False) -> Iterator[None]:
    """Write into the audit log what the block does to a secret: where its places changed, or ``always``."""
    from arawn.config.audit import open_changes

    before = bindings.origins(name)
    yield
    after = bindings.origins(name)
    if always or before != after:
        with open_changes(context.environ, context.output.warning) as changes:
            changes.of_secret(name, before, after)


def _list(context: Context, *, as_json: bool) -> None:
    entries = sorted(bindings_of(context.settings).entries().items())
    if as_json:
        rows = [
            {"name": name, "origins": entry.origins, "store": entry.store, "created": entry.created}
            for name, entry in entries
        ]
        context.output.data(dumps(rows))
    elif entries:
        cells = [(name, " ".join(entry.origins), entry.store, entry.created) for name, entry in entries]
        print_table(context.output, ("secret", "may go to", "keyring", "since"), cells)
    else:
        context.output.note("no secret is stored; arawn secrets set NAME")
