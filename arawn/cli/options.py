"""The options that commands share, how their values are read, and which of them exclude each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, get_args

import typer
from typer import Argument, Option

from arawn import dates
from arawn.cli.groups import Group
from arawn.cli.help import EVERY_COMMAND
from arawn.errors import UsageError
from arawn.messages import Effort
from arawn.values import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from arawn.cli.context import Context

QUESTION = "Question"
ANSWER = "Answer"
MODEL = "Model"
"""The panels of the help of commands that ask."""


def new_app(**settings: Any) -> typer.Typer:
    """Return the Typer app of a command's module."""
    return typer.Typer(cls=Group, add_completion=False, pretty_exceptions_enable=False, **settings)


def _remember(ctx: typer.Context, param: typer.CallbackParam, value: Any) -> None:
    if value and param.name:
        context: Context = ctx.obj
        context.set_global(param.name, value)


def names_of(kind: str) -> Callable[[typer.Context, str], Iterator[tuple[str, str]]]:
    """Return what completes names of a kind; see ``completion.KINDS``."""

    def complete(ctx: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
        from arawn.cli.completion import find_names

        return find_names(kind, ctx, incomplete)

    complete.__annotations__ = {"ctx": typer.Context, "incomplete": str}
    return complete


def _everywhere(*flags: str, help: str, names: str = "", metavar: str | None = None) -> Any:  # noqa: A002
    return Option(
        *flags,
        help=help,
        metavar=metavar,
        callback=_remember,
        expose_value=False,
        rich_help_panel=EVERY_COMMAND,
        autocompletion=names_of(names) if names else None,
    )


Backend: TypeAlias = Annotated[
    list[str] | None,
    _everywhere("-b", "--backend", metavar="NAME", names="backends", help="the backend: a [backends.NAME] table"),
]
Model: TypeAlias = Annotated[
    list[str] | None,
    _everywhere("-m", "--model", metavar="NAME", names="models", help="a model id, a tier, an alias, or backend/model"),
]
ConfigFile: TypeAlias = Annotated[
    str | None, _everywhere("--config", metavar="FILE", help="use FILE as your configuration file")
]
EnvFile: TypeAlias = Annotated[
    str | None, _everywhere("--env-file", metavar="FILE", help="read environment variables from FILE first")
]
NoProject: TypeAlias = Annotated[bool, _everywhere("--no-project", help="ignore .arawn.toml files of projects")]
Quiet: TypeAlias = Annotated[bool, _everywhere("-q", "--quiet", help="print only answers, warnings and errors")]
Debug: TypeAlias = Annotated[bool, _everywhere("--debug", help="show tracebacks, with secrets masked")]


def positive_int(text: str, name: str = "") -> int:
    """Read a whole number above zero. Raises BadParameter, with the ``name`` of what it is for."""
    if not text.isdecimal() or int(text) < 1:
        before = f"{name}: " if name else ""
        raise typer.BadParameter(f"{before}expected a whole number above 0, got {text!r}")
    return int(text)


def positive_float(text: str) -> float:
    """Read a number above zero."""
    return _number(text, 0, float("inf"), "a number above 0", lowest_included=False)


def temperature(text: str) -> float:
    """Read a number from 0 to 2."""
    return _number(text, 0, 2, "a number from 0 to 2", lowest_included=True)


def _number(text: str, low: float, high: float, expected: str, *, lowest_included: bool) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not (low <= number <= high) or (number == low and not lowest_included) or number == float("inf"):
        raise typer.BadParameter(f"expected {expected}, got {text!r}")
    return number


Words: TypeAlias = Annotated[
    list[str] | None,
    Argument(metavar="[PROMPT]...", help="the question; - for standard input alone", show_default=False),
]
Files: TypeAlias = Annotated[
    list[str] | None,
    Option("-f", "--file", metavar="FILE", help="add a text file or an image; repeatable", rich_help_panel=QUESTION),
]
System: TypeAlias = Annotated[
    str | None, Option("--system", metavar="TEXT", help="the system prompt", rich_help_panel=QUESTION)
]
Continue: TypeAlias = Annotated[
    bool, Option("-c", "--continue", help="continue the newest session", rich_help_panel=QUESTION)
]
Session: TypeAlias = Annotated[
    str | None,
    Option(
        "-s",
        "--session",
        metavar="NAME",
        help="continue this session (a name, or an id or its beginning), or start one of that name",
        rich_help_panel=QUESTION,
        autocompletion=names_of("sessions"),
    ),
]
MaxTokens: TypeAlias = Annotated[
    int | None,
    Option("--max-tokens", parser=positive_int, metavar="N", help="longest answer, in tokens", rich_help_panel=MODEL),
]
Temperature: TypeAlias = Annotated[
    float | None,
    Option(
        "--temperature", parser=temperature, metavar="T", help="sampling temperature, 0 to 2", rich_help_panel=MODEL
    ),
]
Think: TypeAlias = Annotated[
    Effort | None,
    Option("--think", metavar="EFFORT", help="reasoning effort: " + " ".join(get_args(Effort)), rich_help_panel=MODEL),
]
Timeout: TypeAlias = Annotated[
    float | None,
    Option(
        "--timeout", parser=positive_float, metavar="SECONDS", help="limit for the whole call", rich_help_panel=MODEL
    ),
]
UseCache: TypeAlias = Annotated[
    bool, Option("--cache", help="use cached responses, and cache this one", rich_help_panel=MODEL)
]
NoCache: TypeAlias = Annotated[
    bool, Option("--no-cache", help="do not use cached responses, and cache none", rich_help_panel=MODEL)
]
Fallback: TypeAlias = Annotated[
    str | None,
    Option(
        "--fallback",
        metavar="NAMES",
        help="backends to try when this one fails, as in groq,ollama",
        rich_help_panel=MODEL,
    ),
]
Since: TypeAlias = Annotated[str | None, Option("--since", metavar="WHEN", help=f"from when on, in UTC: {dates.HELP}")]
AsJson: TypeAlias = Annotated[bool, Option("--json", help="print JSON")]
Limit: TypeAlias = Annotated[
    int | None, Option("-n", "--limit", parser=positive_int, metavar="N", help="how many to show")
]


class RequestOptions(Value):
    """What the options say of a request; what they leave open is None. ``timeout`` is for the whole call."""

    max_tokens: int | None
    temperature: float | None
    think: Effort | None
    system: str | None
    timeout: float | None


def exclusive(given: Mapping[str, object]) -> None:
    """Raise UsageError where more than one of these options, by their flags, was given."""
    found = [flag for flag, value in given.items() if value not in (None, False)]
    if len(found) > 1:
        raise UsageError(f"{found[1]} is not allowed with {found[0]}")


def overrides(*, cache: bool = False, no_cache: bool = False, fallback: str | None = None) -> dict[str, object]:
    """Return the keys of the configuration that options stand for, above all other layers."""
    exclusive({"--cache": cache, "--no-cache": no_cache})
    found: dict[str, object] = {}
    if cache or no_cache:
        found["cache.enabled"] = cache
    if fallback is not None:
        found["llm.fallback"] = [name.strip() for name in fallback.split(",") if name.strip()]
    return found
