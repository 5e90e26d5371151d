"""Amounts of USD: as text for people, and as the whole numbers the store keeps, so that sums are exact."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

USD_EXPONENT = -12
"""The store counts in units of 10⁻¹² USD; finer amounts are rounded once, half up."""


def money(amount: Decimal) -> str:
    """Format an amount: to the cent, below one dollar to the hundredth of a cent."""
    if amount and amount < 1:
        return f"${amount:.4f}" if amount >= 0.0001 else "<$0.0001"
    return f"${amount:,.2f}"


def stored(amount: Decimal) -> int:
    """Convert USD to the store's unit."""
    return int(amount.scaleb(-USD_EXPONENT).to_integral_value("ROUND_HALF_UP"))


def usd(amount: int) -> Decimal:
    """Convert an amount of the store to USD."""
    from decimal import Decimal

    return Decimal(amount).scaleb(USD_EXPONENT).normalize() + 0
