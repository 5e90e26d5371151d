"""Options that stand for keys of the configuration, above all its other layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser, *, fallback: bool = True) -> None:
    """Declare them, for a command that asks backends; without ``fallback`` for one that wants no other's answer."""
    cache = parser.add_mutually_exclusive_group()
    cache.add_argument(
        "--cache", action="store_true", default=None, help="answer again what was asked before, without asking anybody"
    )
    cache.add_argument(
        "--no-cache", dest="cache", action="store_false", default=None, help="ask anew, and keep no answer for later"
    )
    if fallback:
        parser.add_argument(
            "--fallback", metavar="NAMES", help="who answers where the backend cannot, as in llm.fallback: groq,ollama"
        )


def overrides(arguments: Namespace) -> dict[str, object]:
    """Return what the options say, by dotted keys."""
    found: dict[str, object] = {}
    if getattr(arguments, "cache", None) is not None:
        found["cache.enabled"] = arguments.cache
    if getattr(arguments, "fallback", None) is not None:
        found["llm.fallback"] = [name.strip() for name in arguments.fallback.split(",") if name.strip()]
    return found
