"""Secrets, which cannot print themselves, and the references to them.

``$keyring:NAME`` is an entry of the system's keyring, ``$env:NAME`` a variable, ``$file:PATH`` a file that only its
owner can read, ``$cmd:COMMAND`` what a command prints. A reference is resolved when a request needs it, for the
address that the request is sent to.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, NoReturn

from arawn.errors import AuthenticationError, ConfigError, SecretError, UsageError
from arawn.secrets import MARKS
from arawn.secrets.keychain import Keychain, Unresolved
from arawn.values import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from arawn.secrets.bindings import Bindings
    from arawn.secrets.keychain import FailureState

_KEY_FILE_LIMIT = 64 * 1024
"""Bytes of a key file that are read."""
_MIN_CONCEALED = 6
"""Characters of the shortest value that is concealed."""
_MIN_BASE64 = 8
"""Characters of the shortest base64 text that is concealed."""
_FORMS = ("a secret is named by $keyring:NAME, $env:NAME, $file:/PATH or $cmd:COMMAND",)

# Keys with the prefix of a known issuer; a password in a URL; and what follows a word like "token=".
_KEY_PREFIX = (
    r"(?<![A-Za-z0-9])((?:sk-|gsk_|hf_|xai-|pplx-|nvapi-|r8_|AIza|AKIA|gh[opsru]_|github_pat_|glpat-|xox[abp]-|eyJ))"
    r"[A-Za-z0-9_.\-]{12,}"
)
_IN_URL = r"(://[^\s/:@]*:)[^\s/@]+(?=@)"
_AFTER_LABEL = (
    r"""(?i)((?:bearer\s+|(?:api[-_]?key|authorization|token|password)["']?\s*[:=,]\s*(?:b?["'])?(?:basic\s+)?))"""
    r"""(?!\$(?:env|file|keyring|cmd):|Secret\()[^\s"',;&)\]}]{8,}"""
)


class Secret:
    """A value with the reference it came from. Its repr is the reference; only ``reveal`` returns the value."""

    __slots__ = ("_value", "reference")

    def __init__(self, value: str, reference: str) -> None:
        self._value = value
        self.reference = reference

    def reveal(self) -> str:
        """Return the value: for a request header, and nothing else."""
        return self._value

    def tail(self) -> str:
        """Return what may be displayed: the last four characters (none of a short value) and the length."""
        shown = self._value[-4:] if len(self._value) >= 12 else ""
        return f"…{shown} ({len(self._value)})"

    def conceal(self, text: str) -> str:
        """Return a text without the value, plain, URL-encoded or in base64.

        A short value stays: it may be any word ("none" for a server that needs no key).
        """
        if len(self._value) < _MIN_CONCEALED:
            return text
        for form in _forms(self._value):
            text = text.replace(form, "…")
        return text

    def __repr__(self) -> str:
        return f"Secret({self.reference!r})"

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __eq__(self, other: object) -> bool:
        from hmac import compare_digest

        return isinstance(other, Secret) and compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __getstate__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret is not pickled")


class Reference(Value):
    """Where a secret is: ``kind`` is keyring, env, file or cmd; ``str`` of it is its text in the configuration."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"${self.kind}:{self.name}"


class Finding(Value):
    """What ``config show --secrets`` reports of one key: ``tail`` when it resolves, else a ``sentence``."""

    reference: str
    source: str
    state: FailureState | Literal["ok", "PLAIN", "NOT RUN"]
    tail: str = ""
    sentence: str = ""


def parse_reference(text: str) -> Reference | None:
    """Read a reference; None when the text is a secret itself. Raises SecretError, without the text."""
    if not text.startswith("$"):
        return None
    kind, _, name = text[1:].partition(":")
    if not text.startswith(MARKS):
        raise SecretError("a secret that begins with $ is a reference, but this is none of them", hints=_FORMS)
    if not name.strip() or not name.isprintable():
        raise SecretError(f"${kind}: needs a name after the colon", hints=_FORMS)
    return Reference(kind, name.strip())


def resolve(
    text: str,
    *,
    backend: str,
    target: str,
    environ: Mapping[str, str],
    bindings: Bindings,
    keychain: Keychain | None = None,
) -> Secret:
    """Look up the key of a backend, to be sent to the URL ``target``; a text that is no reference is the key itself.

    Raises AuthenticationError when there is no key, SecretError when it cannot be looked up or may not be sent there. A
    keyring entry that is not bound yet is bound to the origin of ``target``.
    """
    reference = parse_reference(text)
    found = _find(reference, text, backend, target=target, environ=environ, bindings=bindings, keychain=keychain)
    if isinstance(found, Unresolved):
        if found.state == "MISSING":
            message = f'Authentication failed for backend "{backend}"'
            error = AuthenticationError(message, hints=(f"no key: {found.sentence}", *found.hints), backend=backend)
            error.reached = False
            raise error
        raise SecretError(found.sentence, hints=found.hints)
    if reference and reference.kind == "keyring" and not bindings.origins(reference.name):
        with suppress(ConfigError):  # an index that cannot be written must not stop the call
            bindings.bind(reference.name, target)
    return found


def check(
    text: str,
    *,
    backend: str,
    target: str,
    environ: Mapping[str, str],
    bindings: Bindings,
    keychain: Keychain | None = None,
    run_commands: bool = False,
) -> Finding:
    """Report whether ``resolve`` would find the key, without binding it; never raises, never shows the value.

    A command may ask its user for a password, so it is run only with ``run_commands``.
    """
    label, source = "(no reference)", ""
    try:
        reference = parse_reference(text)
        label, source = _describe(reference)
        if reference is not None and reference.kind == "cmd" and not run_commands:
            return Finding(label, source, "NOT RUN", sentence=f"to try it: arawn doctor -b {backend}")
        found = _find(reference, text, backend, target=target, environ=environ, bindings=bindings, keychain=keychain)
    except ConfigError as error:
        return Finding(label, source, "BROKEN", sentence=error.message)
    if isinstance(found, Unresolved):
        return Finding(label, source, found.state, sentence=found.sentence)
    if reference is None:
        return Finding(label, source, "PLAIN", found.tail(), f"move it: arawn secrets set {backend}")
    return Finding(label, source, "ok", found.tail())


def store_secret(name: str, value: str, url: str, *, bindings: Bindings, keychain: Keychain | None = None) -> Secret:
    """Put a secret into the keyring, bound to the origin of ``url``. Raises SecretError, ConfigError."""
    from arawn.secrets.bindings import origin_of

    found = _checked(value, str(parse_reference(f"$keyring:{name}")))
    if isinstance(found, Unresolved):
        raise SecretError(found.sentence, hints=found.hints)
    origin, keychain = origin_of(url), keychain or Keychain()
    kind = keychain.write(name, found.reveal())
    try:
        bindings.record(name, origin, kind)
    except ConfigError:  # unbound, it could be sent anywhere
        keychain.delete(name)
        raise
    return found


def delete_secret(name: str, *, bindings: Bindings, keychain: Keychain | None = None) -> bool:
    """Remove a secret from the keyring and the index; return whether the keyring had it. Raises SecretError."""
    existed = (keychain or Keychain()).delete(name)
    bindings.forget(name)
    return existed


def looks_like_secret(value: str) -> bool:
    """Return whether a value is most likely a key: it has the prefix of an issuer, or a password in a URL."""
    return bool(re.search(_KEY_PREFIX, value) or re.search(_IN_URL, value))


def mask(text: str, secrets: Iterable[Secret] = ()) -> str:
    """Remove these secrets from a text, and everything that looks like a key."""
    for secret in secrets:
        text = secret.conceal(text)
    for pattern in (_KEY_PREFIX, _IN_URL, _AFTER_LABEL):
        text = re.sub(pattern, r"\1…", text)
    return text


def _forms(value: str) -> Iterator[str]:
    """Yield the encodings of a value; of base64 the part that does not depend on what surrounds it."""
    from base64 import b64encode
    from urllib.parse import quote

    yield value
    yield quote(value)
    yield quote(value, safe="")
    for shift in range(3):
        core = b64encode(b" " * shift + value.encode())[4:-4].decode()
        if len(core) >= _MIN_BASE64:
            yield core


def _describe(reference: Reference | None) -> tuple[str, str]:
    """Return the text of a reference, and the kind of source it names."""
    if reference is None:
        return "(literal)", "file"
    return mask(str(reference)), {"env": "environment", "cmd": "command"}.get(reference.kind, reference.kind)


def _find(
    reference: Reference | None,
    text: str,
    backend: str,
    *,
    target: str,
    environ: Mapping[str, str],
    bindings: Bindings,
    keychain: Keychain | None,
) -> Secret | Unresolved:
    match reference:
        case None:
            return _checked(text, "(literal)")
        case Reference("env", name):
            hints = (f"export {name}=…", f"or keep it in the keyring: arawn secrets set {backend}")
            return _checked(environ.get(name, ""), str(reference), "is not set", hints)
        case Reference("file", path):
            return _from_file(path)
        case Reference("cmd", command):
            return _from_command(command, str(reference))
        case Reference(_, name):
            return _refusal(name, target, bindings) or _from_keyring(name, keychain or Keychain())


def _from_file(path: str) -> Secret | Unresolved:
    """Read the key from a file that only its owner can read, and that holds nothing else."""
    from arawn.files import read_file

    reference = f"$file:{path}"
    full = os.path.expanduser(path)
    if not os.path.isabs(full):  # it would depend on the current folder
        return Unresolved("BROKEN", f"{reference} needs a path that begins with / or ~/", ())
    try:
        data = read_file(full, _KEY_FILE_LIMIT, private=True)
    except UsageError as error:
        return Unresolved("BROKEN", f"{reference}: {error.message}", error.hints)
    return _checked(data.decode("utf-8", "replace"), reference)


def _from_command(command: str, reference: str) -> Secret | Unresolved:
    from arawn.secrets.commands import first_line

    try:
        return _checked(first_line(command), reference)
    except SecretError as error:
        return Unresolved("BROKEN", mask(error.message), error.hints)


def _from_keyring(name: str, keychain: Keychain) -> Secret | Unresolved:
    found = keychain.read(name)
    return found if isinstance(found, Unresolved) else _checked(found, f"$keyring:{name}")


def _refusal(name: str, target: str, bindings: Bindings) -> Unresolved | None:
    """Return why a stored secret may not be sent to a target; None when it may, or is not bound yet."""
    from arawn.secrets.bindings import origin_of

    allowed, origin = bindings.origins(name), origin_of(target)
    if not allowed or origin in allowed:
        return None
    sentence = f'the secret "{name}" is bound to {" and ".join(allowed)}, not to {origin}'
    return Unresolved("REFUSED", sentence, (f"if that is meant: arawn secrets allow {name} --for {origin}",))


def _checked(value: str, label: str, missing: str = "is empty", hints: tuple[str, ...] = ()) -> Secret | Unresolved:
    """Return a value as a key, stripped, if it can be one: printable ASCII without spaces."""
    value = value.strip()
    if not value:
        return Unresolved("MISSING", f"{label} {missing}", hints)
    if wrong := _not_of_keys(value):
        return Unresolved("BROKEN", f"{label} holds {wrong}", ("copy the key once more, whole and alone",))
    return Secret(value, label)


def _not_of_keys(value: str) -> str:
    """Return what in a value no key has, in words; "" where there is nothing."""
    if "\n" in value or "\r" in value:
        return "a line end"
    if value[0] in "\"'" or value[-1] in "\"'":
        return "a quote"
    return "" if re.fullmatch(r"[!-~]+", value) else "a character that no key has"
