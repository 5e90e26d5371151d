"""``arawn doctor``: why something does not work."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import typer

from arawn import __version__
from arawn.cli import options
from arawn.cli.context import Context
from arawn.cli.groups import Command
from arawn.cli.help import examples
from arawn.cli.output import Output, Styled
from arawn.config.lines import join_key
from arawn.engine.assembly import Engine
from arawn.engine.factory import bindings_of
from arawn.engine.health import check
from arawn.errors import ArawnError
from arawn.network.proxies import proxy_for, without_password

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arawn.config.settings import BackendSettings, Settings


app = options.new_app()


@app.command(cls=Command, epilog=examples("arawn doctor", "arawn doctor -b groq"))
def doctor(ctx: typer.Context) -> int:
    """Find out why something does not work: what is configured, what it resolves to, and where the way to it ends.

    Shows which files are read, which backend and model answer, where the key comes from, which proxy and certificates
    are used, and whether the backend can be reached. Exits with the failure's own code.
    """
    context: Context = ctx.obj
    output = context.output
    version = ".".join(map(str, sys.version_info[:3]))
    _say(output, "arawn", f"{__version__}, Python {version} on {sys.platform}")
    try:
        settings = context.settings
        for layer in settings.files:
            state = "" if layer.exists else "not there"
            state = state if layer.trusted else "not trusted: only models and presentation count"
            _say(output, f"{layer.name} file", f"{layer.path}  {state}".rstrip())
        engine = Engine.blocking(settings)
        choice = context.choose(engine)
        _say(output, "answers", f"{choice.backend}/{choice.model}")
        _connection(output, settings, settings.backend(choice.backend))
        health = engine.run(check(engine, choice.backend))
        if health.error is not None:
            raise health.error
    except ArawnError as error:
        output.error(error)
        return error.exit_code
    _say(output, "reachable", f"yes, {health}", style="good")
    return 0


def _connection(output: Output, settings: Settings, backend: BackendSettings) -> None:
    if not backend.base_url:
        return
    origin = settings.origin(join_key(("backends", backend.name, "base_url")))
    _say(output, "address", backend.base_url + (f"  from {origin.path}" if origin.layer == "environment" else ""))
    _say(output, "key", _key(settings, backend))
    proxy = proxy_for(backend.base_url, settings.environ, backend.proxy)
    _say(output, "proxy", without_password(proxy) if proxy else "none")
    if backend.base_url.lower().startswith("https:"):
        _say(output, "certificates", _authorities(settings.environ, backend))


def _key(settings: Settings, backend: BackendSettings) -> str:
    from arawn.secrets.references import check as check_key

    if backend.api_key is None:
        unset = backend.api_key_unset
        return backend.api_key_withheld or (f"none: {unset} is not set" if unset else "none needed")
    found = check_key(
        backend.api_key,
        backend=backend.name,
        target=backend.base_url,
        environ=settings.environ,
        bindings=bindings_of(settings),
        run_commands=True,
    )
    return " ".join(part for part in (found.reference, found.state, found.tail, found.sentence) if part)


def _authorities(environ: Mapping[str, str], backend: BackendSettings) -> str:
    if backend.insecure_tls:
        return "NOT CHECKED (insecure_tls)"
    named = [environ[name] for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if name in environ]
    return " and ".join(
        [", ".join(named) or "the system's", *([os.fspath(backend.ca_bundle)] if backend.ca_bundle else [])]
    )


def _say(output: Output, title: str, text: str, style: str = "") -> None:
    output.line(Styled(f"{title:<14}", "bold"), Styled(text, style) if style else text)
