"""Amounts of USD: as people read them, and as the store has them, in whole numbers so that sums are exact."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

UNIT = -12
"""The store counts 10⁻¹² USD; what is finer is rounded once, half up."""


def money(amount: Decimal) -> str:
    """Return an amount to the cent, or where that says nothing to the hundredth of one."""
    if amount and amount < 1:
        return f"${amount:.4f}" if amount >= 0.0001 else "<$0.0001"
    return f"${amount:,.2f}"


def stored(amount: Decimal) -> int:
    """Return an amount as the store has it."""
    from decimal import ROUND_HALF_UP

    return int(amount.scaleb(-UNIT).to_integral_value(ROUND_HALF_UP))


def usd(amount: int) -> Decimal:
    """Return what the store has as USD."""
    from decimal import Decimal

    return Decimal(amount).scaleb(UNIT).normalize() + 0
