"""JSON Schemas made into checks. Nothing they point to is ever fetched. Who needs one imports this late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import fastjsonschema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Elsewhere(ValueError):  # noqa: N818 -- it says where a schema points to
    """A schema points to what stands at an ``address`` of its own."""

    def __init__(self, address: str) -> None:
        super().__init__(f"$ref to {address}: nothing is fetched")
        self.address = address


def check_of(definition: Mapping[str, Any]) -> Callable[[Any], Any]:
    """Return what raises for a value that does not fit a schema. What is no schema raises in many ways; Elsewhere."""
    check: Callable[[Any], Any] = fastjsonschema.compile(dict(definition), handlers=_Offline(), use_default=False)
    return check


class _Offline(dict[str, Any]):
    """Where the library looks for a way to fetch what a $ref points to, by scheme: for each there is a refusal."""

    def __contains__(self, scheme: object) -> bool:
        return True

    def __missing__(self, scheme: str) -> Callable[[str], NoReturn]:
        return _refuse


def _refuse(address: str) -> NoReturn:
    raise Elsewhere(address)
