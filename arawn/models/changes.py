"""What a new table of models changes in the one in force: models new, changed and gone, and prices that fall."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.models.prices import PRICE_FIELDS, price_at
from arawn.values import Value, fields_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from arawn.models.catalog import ModelFacts
    from arawn.models.prices import Price

_UNCOMPARED = ("prices", "source", "as_of", "rules", "own_price")


class TableChanges(Value):
    """The models that are new, that change (before and after), and that are gone."""

    added: tuple[ModelFacts, ...]
    changed: tuple[tuple[ModelFacts, ModelFacts], ...]
    removed: tuple[ModelFacts, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)

    def cheaper(self, today: str) -> tuple[ModelFacts, ...]:
        """Return the models of which a price is lower from today on than it was: budgets would count too little."""
        return tuple(after for before, after in self.changed if _falls(before.prices, after.prices, today))


def compare(before: Iterable[ModelFacts], after: Iterable[ModelFacts]) -> TableChanges:
    """Return what changes, but for where the facts are from and when."""
    old = {(each.backend, each.id): each for each in before}
    new = {(each.backend, each.id): each for each in after}
    both = [(old[key], new[key]) for key in new if key in old]
    return TableChanges(
        tuple(new[key] for key in new if key not in old),
        tuple((one, other) for one, other in both if _facts_of(one) != _facts_of(other)),
        tuple(old[key] for key in old if key not in new),
    )


def describe(before: ModelFacts, after: ModelFacts, now: float) -> str:
    """Return in words what changes of a model; prices are those of now, in USD per million input/output tokens."""
    words = []
    old, new = (usd(price_at(each.prices, now)) for each in (before, after))
    if before.prices != after.prices:
        words.append(f"price {old} → {new}" if old != new else "price at other times")
    if before.rules != after.rules:
        words.append("rules")
    for field in fields_of(type(before)):
        one, other = getattr(before, field), getattr(after, field)
        if field not in _UNCOMPARED and one != other:
            words.append(f"{field.replace('_', ' ')} {_word(one)} → {_word(other)}")
    return ", ".join(words)


def usd(price: Price | None) -> str:
    """Return the prices of input and output, each ? where it is not known."""
    amounts = (None, None) if price is None else (price.input, price.output)
    return "/".join("?" if amount is None else f"{amount.normalize():f}" for amount in amounts)


def _falls(before: Iterable[Price], after: Iterable[Price], today: str) -> bool:
    old, new = _lowest(before, today), _lowest(after, today)
    return any(new[field] < old[field] for field in new.keys() & old.keys())


def _lowest(prices: Iterable[Price], today: str) -> dict[str, Decimal]:
    """Return the lowest of each price from a day on."""
    lowest: dict[str, Decimal] = {}
    for price in prices:
        if price.until and price.until < today:
            continue
        for field in PRICE_FIELDS:
            amount = getattr(price, field)
            if amount is not None:
                lowest[field] = min(amount, lowest.get(field, amount))
    return lowest


def _facts_of(facts: ModelFacts) -> tuple[object, ...]:
    return tuple(getattr(facts, field) for field in fields_of(type(facts)) if field not in ("source", "as_of"))


def _word(value: object) -> str:
    if isinstance(value, frozenset):
        return " ".join(sorted(value)) or "-"
    return f"{value:,}" if type(value) is int else str(value or "-")
