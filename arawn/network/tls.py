"""Whom TLS trusts: the store of the operating system, SSL_CERT_FILE, SSL_CERT_DIR and the user's own bundle."""

from __future__ import annotations

import os
import ssl
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from arawn.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping


def trust(environ: Mapping[str, str], ca_bundle: str | None = None, *, insecure: bool = False) -> ssl.SSLContext:
    """Make the context for connections to servers. ``ca_bundle`` is a PEM file or a folder of hashed ones.

    ``insecure`` switches verification off. Raises ConfigError that names what cannot be read. Takes about 20 ms.
    """
    named = {"SSL_CERT_FILE": environ.get("SSL_CERT_FILE", ""), "SSL_CERT_DIR": environ.get("SSL_CERT_DIR", "")}
    named["ca_bundle"] = os.path.expanduser(ca_bundle or "")
    context = _client_context()
    with suppress(OSError):  # key_log_problem says so
        if environ.get("SSLKEYLOGFILE"):
            context.keylog_filename = environ["SSLKEYLOGFILE"]
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    for name, path in named.items():
        if path:
            _add(context, path, name)
    if not any(named.values()) and not _has_store(context):
        import certifi

        context.load_verify_locations(certifi.where())
    return context


def key_log_problem(environ: Mapping[str, str]) -> str:
    """Return why the keys of TLS connections cannot be logged where SSLKEYLOGFILE wants them; empty when they can."""
    path = environ.get("SSLKEYLOGFILE", "")
    if not path:
        return ""
    try:
        with open(path, "a", encoding="ascii"):
            return ""
    except OSError as error:
        return f"SSLKEYLOGFILE: {path}: {error.strerror}; TLS keys are not logged"


def _client_context() -> ssl.SSLContext:
    """Return what ``ssl.create_default_context`` does, which fails where SSLKEYLOGFILE cannot be written."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if sys.version_info >= (3, 13):
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    context.load_default_certs()
    return context


def _add(context: ssl.SSLContext, path: str, named_by: str) -> None:
    try:
        if os.path.isdir(path):
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except OSError as error:  # ssl.SSLError is one
        missing = isinstance(error, FileNotFoundError)
        what = "there is no such file" if missing else "not a file of PEM certificates that can be read"
        raise ConfigError(
            f"{named_by}: {path}: {what}", hints=("It should name the certificates of the authorities to trust.",)
        ) from None


def _has_store(context: ssl.SSLContext) -> bool:
    """Say whether the operating system brought certificates; those of a folder are read only when needed."""
    folder = ssl.get_default_verify_paths().capath
    return context.cert_store_stats()["x509_ca"] > 0 or bool(folder and os.listdir(folder))
