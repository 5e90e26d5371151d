"""The system's keyring, with a deadline for every call.

A keyring can be absent, locked, hung, or claim that it stored what it did not: each is an error of its own, and none
takes longer than the deadline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from arawn.errors import SecretError
from arawn.values import Value, replace

if TYPE_CHECKING:
    from collections.abc import Callable

_SERVICE = "arawn"
_ALTERNATIVES = (
    "use an environment variable instead, $env:NAME, a file that only you can read, $file:/PATH, or $cmd:COMMAND",
)

FailureState: TypeAlias = Literal["MISSING", "LOCKED", "REFUSED", "BROKEN"]


class Unresolved(Value):
    """Why there is no secret: one sentence that names the reference, and what to do."""

    state: FailureState
    sentence: str
    hints: tuple[str, ...] = _ALTERNATIVES


class Keychain(Value):
    """The keyring that the ``keyring`` package selects. ``seconds`` is the deadline of each call.

    ``allow_backend`` names the class of a backend that may store secrets although it does not encrypt them.
    """

    seconds: float = 3.0
    allow_backend: str = ""

    def read(self, name: str) -> str | Unresolved:
        """Return the secret of this name, or why there is none."""
        found: str | Unresolved | None = self._run(lambda ring: ring.get_password(_SERVICE, name))
        if found is None:
            return Unresolved("MISSING", f"$keyring:{name} has no entry in the keyring", (f"arawn secrets set {name}",))
        return found

    def write(self, name: str, value: str) -> str:
        """Store a secret, read it back, and return the class of the keyring. Raises SecretError."""

        def store(ring: Any) -> str | Unresolved:
            kind = _kind(ring)
            if _is_unencrypted(kind) and self.allow_backend != kind:
                return Unresolved("REFUSED", f"the keyring {kind} does not keep secrets safely: nothing was stored")
            ring.set_password(_SERVICE, name, value)
            if ring.get_password(_SERVICE, name) != value:
                return Unresolved("BROKEN", f"the keyring {kind} did not keep {name!r}, though it said so")
            return kind

        answer = self._run(store)
        if isinstance(answer, Unresolved):  # a backend's message may quote what it was given
            answer = replace(answer, sentence=answer.sentence.replace(value, "…"))
        return _require(answer)

    def delete(self, name: str) -> bool:
        """Remove a secret and return whether there was one. Raises SecretError."""

        def remove(ring: Any) -> str:
            if ring.get_password(_SERVICE, name) is None:
                return ""
            ring.delete_password(_SERVICE, name)
            return name

        return bool(_require(self._run(remove)))

    def _run(self, action: Callable[[Any], Any]) -> Any:
        """Run an action on the keyring in a thread of its own, which is abandoned when it hangs."""
        from threading import Thread

        answers: list[Any] = []
        kinds = ["keyring"]

        def work() -> None:
            try:
                ring = _ring()
                kinds.append(_kind(ring))
                answers.append(action(ring))
            except BaseException as error:  # noqa: BLE001 - a backend may raise anything; it is returned
                answers.append(_failure(error, kinds[-1]))

        thread = Thread(target=work, name="arawn-keyring", daemon=True)
        thread.start()
        thread.join(self.seconds)
        if answers:
            return answers[0]
        return Unresolved("BROKEN", f"the keyring {kinds[-1]} did not answer within {self.seconds:g} s")


def _ring() -> Any:
    import keyring

    return keyring.get_keyring()


def _kind(ring: Any) -> str:
    """Return the full name of a backend's class; of a chain of backends that of the first, which is where it stores."""
    first = next(iter(getattr(ring, "backends", ())), ring)
    return f"{type(first).__module__}.{type(first).__qualname__}"


def _is_unencrypted(kind: str) -> bool:
    return kind.startswith(("keyring.backends.null.", "keyring.backends.fail.")) or "plaintext" in kind.lower()


def _failure(error: BaseException, kind: str) -> Unresolved:
    if isinstance(error, ModuleNotFoundError) and error.name == "keyring":
        return Unresolved("BROKEN", "the keyring package is not installed", (*_ALTERNATIVES, "or: pip install keyring"))
    name = type(error).__name__  # by name, as keyring.errors may be what cannot be imported
    state: FailureState = "LOCKED" if name in {"InitError", "KeyringLocked"} else "BROKEN"
    cause = f"{name}: {str(error).partition(chr(10))[0]}".removesuffix(": ")
    return Unresolved(state, f"the keyring {kind} failed: {cause}")


def _require(answer: str | Unresolved) -> str:
    if isinstance(answer, Unresolved):
        raise SecretError(answer.sentence, hints=answer.hints)
    return answer
