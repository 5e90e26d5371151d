"""Find out why something does not work: what is configured, what it resolves to, and where the way to it ends.

Says which files are read, which backend and model answer, where the key comes from, which proxy and certificates are
used, and whether the backend can be reached. Exits with the failure's own code.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from arawn import __version__
from arawn.cli.output import Styled
from arawn.engine.assembly import Engine, bindings_of
from arawn.engine.health import check
from arawn.errors import ArawnError
from arawn.network.proxies import proxy_for, without_password

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from arawn.cli.context import Context
    from arawn.config.settings import BackendSettings


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what ``doctor`` takes: nothing but the options of every command."""


def run(context: Context) -> int:
    """Examine, print what was found, return 0 or the code of what is wrong."""
    version = ".".join(map(str, sys.version_info[:3]))
    _say(context, "arawn", f"{__version__}, Python {version} on {sys.platform}")
    try:
        settings = context.settings
        for layer in settings.files:
            state = "" if layer.exists else "not there"
            state = state if layer.trusted else "not trusted: only models and presentation count"
            _say(context, f"{layer.name} file", f"{layer.path}  {state}".rstrip())
        engine = Engine.blocking(settings)
        choice = context.choose(engine)
        _say(context, "answers", f"{choice.backend}/{choice.model}")
        _connection(context, settings.backend(choice.backend))
        health = engine.run(check(engine, choice.backend))
        if health.error is not None:
            raise health.error
    except ArawnError as error:
        context.output.error(error)
        return error.exit_code
    _say(context, "reachable", f"yes, {health}", style="good")
    return 0


def _connection(context: Context, backend: BackendSettings) -> None:
    if not backend.base_url:
        return
    _say(context, "address", backend.base_url)
    _say(context, "key", _key(context, backend))
    proxy = proxy_for(backend.base_url, context.settings.environ, backend.proxy)
    _say(context, "proxy", without_password(proxy) if proxy else "none")
    if backend.base_url.lower().startswith("https:"):
        _say(context, "certificates", _authorities(context, backend))


def _key(context: Context, backend: BackendSettings) -> str:
    from arawn.secrets.references import check as check_key

    if backend.api_key is None:
        return backend.api_key_withheld or "none needed"
    found = check_key(
        backend.api_key,
        backend=backend.name,
        target=backend.base_url,
        environ=context.settings.environ,
        bindings=bindings_of(context.settings),
    )
    return " ".join(part for part in (found.reference, found.state, found.tail, found.sentence) if part)


def _authorities(context: Context, backend: BackendSettings) -> str:
    if backend.insecure_tls:
        return "NOT CHECKED (insecure_tls)"
    named = [context.environ[name] for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if name in context.environ]
    return " and ".join(
        [", ".join(named) or "the system's", *([os.fspath(backend.ca_bundle)] if backend.ca_bundle else [])]
    )


def _say(context: Context, title: str, text: str, style: str = "") -> None:
    context.output.line(Styled(f"{title:<14}", "bold"), Styled(text, style) if style else text)
