"""Keep API keys in the system's keyring. A key is typed at a hidden prompt or piped in, never given as an option.

A stored key is bound to the scheme, host and port of the backend it is for, and is sent nowhere else until
"arawn secrets allow" says so.
"""

from __future__ import annotations

import json
import os
from argparse import SUPPRESS
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from arawn.cli.report.tables import print_table
from arawn.engine.factory import bindings_of
from arawn.errors import UsageError

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterator

    from arawn.cli.context import Context
    from arawn.secrets.bindings import Bindings


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what ``secrets`` takes."""
    from arawn.cli.parser import global_options

    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    shared: dict[str, Any] = {"parents": [global_options()]}
    setting = actions.add_parser("set", help="store a key, from a hidden prompt or standard input", **shared)
    setting.add_argument("secret", metavar="NAME", help="its name; by custom the backend's")
    setting.add_argument("typed_key", nargs="*", help=SUPPRESS)
    setting.add_argument("--for", dest="url", metavar="URL", help="the address it may go to; else the backend NAME's")
    setting.add_argument("--allow-keyring", metavar="CLASS", default="", help="store also in this unsafe keyring class")
    allowing = actions.add_parser("allow", help="allow a stored key to go to one more address", **shared)
    allowing.add_argument("secret", metavar="NAME", help="its name")
    allowing.add_argument("--for", dest="url", metavar="URL", required=True, help="scheme, host and port")
    deleting = actions.add_parser("delete", help="remove a key from the keyring", **shared)
    deleting.add_argument("secret", metavar="NAME", help="its name")
    listing = actions.add_parser("list", help="list the names of stored keys and where each may go", **shared)
    listing.add_argument("--json", action="store_true", help="print a JSON array")


def run(context: Context) -> int:
    """Do what was asked."""
    bindings = bindings_of(context.settings)
    name = getattr(context.arguments, "secret", "")
    match context.arguments.action:
        case "set":
            _set(context, name, bindings)
        case "allow":
            with _recorded(context, name, bindings):
                bindings.bind(name, context.arguments.url)
            context.output.line(f'the secret "{name}" may go to {" and ".join(bindings.origins(name))}')
        case "delete":
            _delete(context, name, bindings)
        case _:
            _list(context, bindings)
    return 0


def _set(context: Context, name: str, bindings: Bindings) -> None:
    from arawn.secrets.keychain import Keychain
    from arawn.secrets.references import store_secret

    if context.arguments.typed_key:
        raise UsageError(
            "a key does not belong on a command line: others can read it there, and your shell remembers it",
            hints=[f"type it at a hidden prompt: arawn secrets set {name}", f"or: arawn secrets set {name} < FILE"],
        )
    settings = context.settings
    url = context.arguments.url or (settings.backend(name).base_url if name in settings.backend_names else "")
    if not url:
        raise UsageError(
            f'where may the secret "{name}" go? there is no backend of that name with an address',
            hints=[f"arawn secrets set {name} --for https://host"],
        )
    keychain = Keychain(allow_backend=context.arguments.allow_keyring)
    typed = _typed(name)
    with _recorded(context, name, bindings, always=True):
        secret = store_secret(name, typed, url, bindings=bindings, keychain=keychain)
    context.output.line(f"stored {secret.tail()} as $keyring:{name}, for {bindings.origins(name)[0]} only")
    if name in settings.backend_names and settings.backend(name).api_key != f"$keyring:{name}":
        context.output.line(f"  use it: arawn config set backends.{name}.api_key '$keyring:{name}'")


def _typed(name: str) -> str:
    if not os.isatty(0):
        with open(0, encoding="utf-8", errors="replace", closefd=False) as stream:
            return stream.readline()
    from getpass import getpass

    return getpass(f"key for {name} (not shown): ")


@contextmanager
def _recorded(context: Context, name: str, bindings: Bindings, *, always: bool = False) -> Iterator[None]:
    """Write into the audit log what the block does to a secret: where its places changed, or ``always``."""
    from arawn.config.changes import open_changes

    before = bindings.origins(name)
    yield
    after = bindings.origins(name)
    if always or before != after:
        with open_changes(context.environ, context.output.warning) as changes:
            changes.of_secret(name, before, after)


def _delete(context: Context, name: str, bindings: Bindings) -> None:
    from arawn.secrets.references import delete_secret

    with _recorded(context, name, bindings, always=True):
        if not delete_secret(name, bindings=bindings):
            raise UsageError(f'the keyring has no secret "{name}"', hints=["arawn secrets list"])
    context.output.line(f'deleted "{name}"')


def _list(context: Context, bindings: Bindings) -> None:
    entries = bindings.entries()
    if context.arguments.json:
        rows = [
            {"name": name, "origins": entry.origins, "store": entry.store, "created": entry.created}
            for name, entry in sorted(entries.items())
        ]
        context.output.data(json.dumps(rows))
    elif entries:
        cells = [(name, " ".join(entry.origins), entry.store, entry.created) for name, entry in sorted(entries.items())]
        print_table(context.output, ("secret", "may go to", "keyring", "since"), cells)
    else:
        context.output.note("no secret is stored; arawn secrets set NAME")
