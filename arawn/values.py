"""Immutable values with named fields, like frozen slotted dataclasses, defined in a quarter of the time.

arawn defines some fifty of them, and every ``ask`` pays for that: with dataclasses 15 ms of 70. The type checker takes
them for dataclasses: fields by annotation, defaults, keyword-only where the class says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self, TypeVar, dataclass_transform

if TYPE_CHECKING:
    from collections.abc import Mapping

V = TypeVar("V", bound="Value")


class _Empty(dict[str, Any]):
    """A mapping that stays empty, however it is copied."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("the default of a field is not changed")

    __setitem__ = update = setdefault = __ior__ = _refuse

    def __reduce__(self) -> str:
        return "EMPTY"


EMPTY: Mapping[str, Any] = _Empty()
"""The default of a field that holds a mapping."""


@dataclass_transform(frozen_default=True)
class _ValueType(type):
    """Makes a class body of annotated fields into slots, an ``__init__`` and ``__match_args__``."""

    def __new__(
        mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], *, kw_only: bool = False
    ) -> _ValueType:
        annotations = namespace.get("__annotations__", {})
        fields = tuple(field for field in annotations if not str(annotations[field]).startswith("ClassVar"))
        defaults = {field: namespace.pop(field) for field in fields if field in namespace}
        namespace["__slots__"] = namespace["_fields"] = fields
        namespace["__match_args__"] = () if kw_only else fields
        made = super().__new__(mcs, name, bases, namespace)
        if fields:
            made.__init__ = _initialiser(made, fields, defaults, kw_only=kw_only)  # type: ignore[misc]
        return made

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **_: Any) -> None:
        super().__init__(name, bases, namespace)


class Value(metaclass=_ValueType):
    """The base of all values: equal when type and fields are, hashable when the fields are, never changed.

    A class names in ``_unshown`` the fields its repr leaves out.
    """

    _fields: ClassVar[tuple[str, ...]] = ()
    _unshown: ClassVar[tuple[str, ...]] = ()

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, field) == getattr(other, field) for field in self._fields)

    def __hash__(self) -> int:
        return hash((type(self), *(getattr(self, field) for field in self._fields)))

    def __repr__(self) -> str:
        shown = (field for field in self._fields if field not in self._unshown)
        fields = ", ".join(f"{field}={getattr(self, field)!r}" for field in shown)
        return f"{type(self).__name__}({fields})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), as_dict(self))

    def __replace__(self, **changes: Any) -> Self:
        return replace(self, **changes)


def replace(value: V, **changes: Any) -> V:
    """Return the value with some fields changed. Raises TypeError for a field it does not have."""
    return type(value)(**{**as_dict(value), **changes})


def fields_of(kind: type[Value]) -> tuple[str, ...]:
    """Return the names of a value's fields, in order."""
    return kind._fields


def as_dict(value: Value) -> dict[str, Any]:
    """Return the fields by name, not those of values within."""
    return {field: getattr(value, field) for field in value._fields}


def _initialiser(made: type, fields: tuple[str, ...], defaults: dict[str, Any], *, kw_only: bool) -> Any:
    """Compile an ``__init__`` that fills the slots directly."""
    scope = {f"_set_{field}": getattr(made, field).__set__ for field in fields}
    scope |= {f"_default_{field}": default for field, default in defaults.items()}
    given = [f"{field}=_default_{field}" if field in defaults else field for field in fields]
    body = "; ".join(f"_set_{field}(self, {field})" for field in fields)
    exec(f"def __init__(self, {'*, ' * kw_only}{', '.join(given)}): {body}", scope)  # noqa: S102 -- as dataclasses do
    return scope["__init__"]


def _rebuild(made: type[V], fields: dict[str, Any]) -> V:
    return made(**fields)
