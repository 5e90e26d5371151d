"""The system's keyring, asked with a deadline.

A keyring can be absent, locked, hung, or say that it stored what it did not: each is told apart, and none takes longer
than the deadline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from arawn.errors import SecretError
from arawn.values import Value, replace

if TYPE_CHECKING:
    from collections.abc import Callable

_SERVICE = "arawn"
_WAYS_OUT = ("use an environment variable instead, $env:NAME, or a file that only you can read, $file:/PATH",)

State: TypeAlias = Literal["MISSING", "LOCKED", "REFUSED", "BROKEN"]


class Trouble(Value):
    """Why there is no secret: one sentence that names the reference, and what to do."""

    state: State
    sentence: str
    hints: tuple[str, ...] = _WAYS_OUT


class Keychain(Value):
    """The keyring that the ``keyring`` package chose. ``seconds`` is the deadline of each call.

    ``allow_backend`` names the class of a backend that is trusted to store although it keeps secrets in the open.
    """

    seconds: float = 3.0
    allow_backend: str = ""

    def read(self, name: str) -> str | Trouble:
        """Return the secret of this name."""
        found: str | Trouble | None = self._ask(lambda ring: ring.get_password(_SERVICE, name))
        if found is None:
            return Trouble("MISSING", f"$keyring:{name} has no entry in the keyring", (f"arawn secrets set {name}",))
        return found

    def write(self, name: str, value: str) -> str:
        """Store a secret, read it back, and return the kind of keyring that has it. Raises SecretError."""

        def store(ring: Any) -> str | Trouble:
            kind = _kind(ring)
            if _keeps_in_the_open(kind) and self.allow_backend != kind:
                return Trouble("REFUSED", f"the keyring {kind} does not keep secrets safely: nothing was stored")
            ring.set_password(_SERVICE, name, value)
            if ring.get_password(_SERVICE, name) != value:
                return Trouble("BROKEN", f"the keyring {kind} did not keep {name!r}, though it said so")
            return kind

        answer = self._ask(store)
        if isinstance(answer, Trouble):  # a backend's message may quote what it was given
            answer = replace(answer, sentence=answer.sentence.replace(value, "…"))
        return _require(answer)

    def delete(self, name: str) -> bool:
        """Remove a secret; says whether there was one. Raises SecretError."""

        def remove(ring: Any) -> str:
            if ring.get_password(_SERVICE, name) is None:
                return ""
            ring.delete_password(_SERVICE, name)
            return name

        return bool(_require(self._ask(remove)))

    def _ask(self, action: Callable[[Any], Any]) -> Any:
        """Run an action on the keyring in a thread of its own, which is left behind when it hangs."""
        from threading import Thread

        answers: list[Any] = []
        kinds = ["keyring"]

        def work() -> None:
            try:
                ring = _ring()
                kinds.append(_kind(ring))
                answers.append(action(ring))
            except BaseException as error:  # noqa: BLE001 - a backend may raise anything; it is told, not lost
                answers.append(_trouble(error, kinds[-1]))

        thread = Thread(target=work, name="arawn-keyring", daemon=True)
        thread.start()
        thread.join(self.seconds)
        if answers:
            return answers[0]
        return Trouble("BROKEN", f"the keyring {kinds[-1]} did not answer within {self.seconds:g} s")


def _ring() -> Any:
    import keyring

    return keyring.get_keyring()


def _kind(ring: Any) -> str:
    """Return the full name of a backend's class; of a chain of backends, which stores in its first, that one's."""
    first = next(iter(getattr(ring, "backends", ())), ring)
    return f"{type(first).__module__}.{type(first).__qualname__}"


def _keeps_in_the_open(kind: str) -> bool:
    return kind.startswith(("keyring.backends.null.", "keyring.backends.fail.")) or "plaintext" in kind.lower()


def _trouble(error: BaseException, kind: str) -> Trouble:
    if isinstance(error, ModuleNotFoundError) and error.name == "keyring":
        return Trouble("BROKEN", "the keyring package is not installed", (*_WAYS_OUT, "or: pip install keyring"))
    name = type(error).__name__  # by name, as keyring.errors may be what cannot be imported
    state: State = "LOCKED" if name in {"InitError", "KeyringLocked"} else "BROKEN"
    cause = f"{name}: {str(error).partition(chr(10))[0]}".removesuffix(": ")
    return Trouble(state, f"the keyring {kind} failed: {cause}")


def _require(answer: str | Trouble) -> str:
    if isinstance(answer, Trouble):
        raise SecretError(answer.sentence, hints=answer.hints)
    return answer
