"""What must not be seen: a Secret that cannot print itself, and the references it is looked up by.

``$keyring:NAME`` is an entry of the system's keyring, ``$env:NAME`` a variable, ``$file:PATH`` a file that only its
owner can read. A reference is resolved when a request needs it, for the address the request goes to.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, NoReturn

from arawn.errors import AuthenticationError, ConfigError, SecretError, UsageError
from arawn.secrets.keychain import Keychain, Trouble
from arawn.values import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from arawn.secrets.bindings import Bindings
    from arawn.secrets.keychain import State

_FILE_LIMIT = 64 * 1024  # bytes
_SHORTEST_CONCEALED = 6
_SHORTEST_BASE64 = 8
_FORMS = ("a secret is named by $keyring:NAME, $env:NAME or $file:/PATH",)

# Keys that carry their maker's mark; a password in a URL; and what follows a word that announces a key.
_MARKED = (
    r"(?<![A-Za-z0-9])((?:sk-|gsk_|hf_|xai-|pplx-|nvapi-|r8_|AIza|AKIA|gh[opsru]_|github_pat_|glpat-|xox[abp]-|eyJ))"
    r"[A-Za-z0-9_.\-]{12,}"
)
_IN_URL = r"(://[^\s/:@]*:)[^\s/@]+(?=@)"
_ANNOUNCED = (
    r"""(?i)((?:bearer\s+|(?:api[-_]?key|authorization|token|password)["']?\s*[:=,]\s*(?:b?["'])?(?:basic\s+)?))"""
    r"""(?!\$(?:env|file|keyring):|Secret\()[^\s"',;&)\]}]{8,}"""
)


class Secret:
    """A value with the reference it came from. It shows the reference; only ``reveal`` gives the value."""

    __slots__ = ("_value", "reference")

    def __init__(self, value: str, reference: str) -> None:
        self._value = value
        self.reference = reference

    def reveal(self) -> str:
        """Return the value: for a header, and nothing else."""
        return self._value

    def tail(self) -> str:
        """Return what may be shown of it: the last four characters, none of a short one, and its length."""
        shown = self._value[-4:] if len(self._value) >= 12 else ""
        return f"…{shown} ({len(self._value)})"

    def conceal(self, text: str) -> str:
        """Return a text without the value, also where it stands there URL-encoded or in base64.

        One of few characters is left: it may be any word ("none" for a server that wants no key).
        """
        if len(self._value) < _SHORTEST_CONCEALED:
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
    """Where a secret is: ``kind`` is keyring, env or file; ``str`` of it is how it is written."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"${self.kind}:{self.name}"


class Finding(Value):
    """What ``config show --secrets`` says of one key: ``tail`` when it resolves, else a ``sentence``."""

    reference: str
    source: str
    state: State | Literal["ok", "PLAIN"]
    tail: str = ""
    sentence: str = ""


def parse_reference(text: str) -> Reference | None:
    """Read a reference; None when the text is a secret itself. Raises SecretError, without the text."""
    if not text.startswith("$"):
        return None
    kind, colon, name = text[1:].partition(":")
    if not colon or kind not in {"keyring", "env", "file"}:
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
    """Look up the key of a backend, to be sent to the URL ``target``; a text that is no reference is the key.

    Raises AuthenticationError when there is no key, SecretError when it cannot be looked up or may not go there. A
    keyring entry that is bound nowhere yet is bound to ``target`` from now on.
    """
    reference = parse_reference(text)
    found = _find(reference, text, backend, target=target, environ=environ, bindings=bindings, keychain=keychain)
    if isinstance(found, Trouble):
        if found.state == "MISSING":
            message = f'Authentication failed for backend "{backend}"'
            error = AuthenticationError(message, hints=(f"no key: {found.sentence}", *found.hints), backend=backend)
            error.reached = False
            raise error
        raise SecretError(found.sentence, hints=found.hints)
    if reference and reference.kind == "keyring" and not bindings.origins(reference.name):
        with suppress(ConfigError):  # an index that cannot be written binds nothing, and stops nobody
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
) -> Finding:
    """Say whether ``resolve`` would find the key, without binding it; never raises, and never shows the value."""
    label, source = "(no reference)", ""
    try:
        reference = parse_reference(text)
        label, source = _described(reference)
        found = _find(reference, text, backend, target=target, environ=environ, bindings=bindings, keychain=keychain)
    except SecretError as error:
        return Finding(label, source, "BROKEN", sentence=error.message)
    if isinstance(found, Trouble):
        return Finding(label, source, found.state, sentence=found.sentence)
    if reference is None:
        return Finding(label, source, "PLAIN", found.tail(), f"move it: arawn secrets set {backend}")
    return Finding(label, source, "ok", found.tail())


def store_secret(name: str, value: str, url: str, *, bindings: Bindings, keychain: Keychain | None = None) -> Secret:
    """Put a secret into the keyring, bound to the origin of ``url``. Raises SecretError, ConfigError."""
    from arawn.secrets.bindings import origin_of

    found = _checked(value, str(parse_reference(f"$keyring:{name}")))
    if isinstance(found, Trouble):
        raise SecretError(found.sentence, hints=found.hints)
    origin, keychain = origin_of(url), keychain or Keychain()
    kind = keychain.write(name, found.reveal())
    try:
        bindings.record(name, origin, kind)
    except ConfigError:  # unbound, it could go anywhere
        keychain.delete(name)
        raise
    return found


def delete_secret(name: str, *, bindings: Bindings, keychain: Keychain | None = None) -> bool:
    """Remove a secret from the keyring and the index; says whether the keyring had it. Raises SecretError."""
    existed = (keychain or Keychain()).delete(name)
    bindings.forget(name)
    return existed


def looks_like_secret(value: str) -> bool:
    """Whether a value is most likely a key: it has the mark of one who gives out keys, or a password in a URL."""
    return bool(re.search(_MARKED, value) or re.search(_IN_URL, value))


def mask(text: str, secrets: Iterable[Secret] = ()) -> str:
    """Take these secrets out of a text, and everything that looks like a key."""
    for secret in secrets:
        text = secret.conceal(text)
    for pattern in (_MARKED, _IN_URL, _ANNOUNCED):
        text = re.sub(pattern, r"\1…", text)
    return text


def _forms(value: str) -> Iterator[str]:
    """Yield how a value may be written; in base64 what stays the same whatever stands before and after it."""
    from base64 import b64encode
    from urllib.parse import quote

    yield value
    yield quote(value)
    yield quote(value, safe="")
    for shift in range(3):
        core = b64encode(b" " * shift + value.encode())[4:-4].decode()
        if len(core) >= _SHORTEST_BASE64:
            yield core


def _described(reference: Reference | None) -> tuple[str, str]:
    """Say how a reference is written, and what it leads to."""
    if reference is None:
        return "(literal)", "file"
    return str(reference), {"env": "environment"}.get(reference.kind, reference.kind)


def _find(
    reference: Reference | None,
    text: str,
    backend: str,
    *,
    target: str,
    environ: Mapping[str, str],
    bindings: Bindings,
    keychain: Keychain | None,
) -> Secret | Trouble:
    match reference:
        case None:
            return _checked(text, "(literal)")
        case Reference("env", name):
            hints = (f"export {name}=…", f"or keep it in the keyring: arawn secrets set {backend}")
            return _checked(environ.get(name, ""), str(reference), "is not set", hints)
        case Reference("file", path):
            return _from_file(path)
        case Reference(_, name):
            return _refusal(name, target, bindings) or _from_keyring(name, keychain or Keychain())


def _from_file(path: str) -> Secret | Trouble:
    """Read a file that only its owner can, and that holds a key and nothing else."""
    from arawn.files import read_file

    reference = f"$file:{path}"
    full = os.path.expanduser(path)
    if not os.path.isabs(full):  # it would lead into whatever folder arawn is run in
        return Trouble("BROKEN", f"{reference} needs a path that begins with / or ~/", ())
    try:
        data = read_file(full, _FILE_LIMIT, private=True)
    except UsageError as error:
        return Trouble("BROKEN", f"{reference}: {error.message}", error.hints)
    return _checked(data.decode("utf-8", "replace"), reference)


def _from_keyring(name: str, keychain: Keychain) -> Secret | Trouble:
    found = keychain.read(name)
    return found if isinstance(found, Trouble) else _checked(found, f"$keyring:{name}")


def _refusal(name: str, target: str, bindings: Bindings) -> Trouble | None:
    """Why a stored secret may not go to a target; None when it may, or when it is bound nowhere yet."""
    from arawn.secrets.bindings import origin_of

    allowed, origin = bindings.origins(name), origin_of(target)
    if not allowed or origin in allowed:
        return None
    sentence = f'the secret "{name}" is bound to {" and ".join(allowed)}, not to {origin}'
    return Trouble("REFUSED", sentence, (f"if that is meant: arawn secrets allow {name} --for {origin}",))


def _checked(value: str, label: str, lacking: str = "is empty", hints: tuple[str, ...] = ()) -> Secret | Trouble:
    """Take a looked-up value as a key, stripped, if it could be one: printable ASCII without a blank."""
    value = value.strip()
    if not value:
        return Trouble("MISSING", f"{label} {lacking}", hints)
    if not re.fullmatch(r"[!-~]+", value):
        return Trouble(
            "BROKEN", f"{label} holds a character that no key has", ("copy the key once more, whole and alone",)
        )
    return Secret(value, label)
