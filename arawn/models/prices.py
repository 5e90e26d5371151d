"""Prices of models with the times they hold, and the exact cost of a call by the moment it was made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.values import Value

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from arawn.messages import Usage

PRICE_FIELDS = (
    *("input", "output", "cache_read", "cache_write", "cache_write_1h"),
    *("long_input", "long_output", "long_cache_read", "long_cache_write", "long_cache_write_1h"),
    *("batch_input", "batch_output"),
)
"""The fields of Price that are amounts."""
_DAY = 86_400
_EPOCH = 719_163  # the ordinal of 1970-01-01, a Thursday


class Price(Value, kw_only=True):
    """What a model costs while this holds, in USD per million tokens; None means: not known.

    ``cache_write`` is the price of the shortest cache, ``cache_write_1h`` of one that lives an hour. Prices with
    ``long_`` apply to a whole request whose input exceeds ``long_above`` tokens; those with ``batch_`` are of the
    provider's own batches. It holds from the day ``since`` to the day ``until``, both included, on ``weekdays`` (1 is
    Monday) within ``hours_utc`` ("01:00-04:00", the end not included), all in UTC; what is empty is no limit.
    """

    input: Decimal | None = None
    output: Decimal | None = None
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    long_above: int | None = None
    long_input: Decimal | None = None
    long_output: Decimal | None = None
    long_cache_read: Decimal | None = None
    long_cache_write: Decimal | None = None
    long_cache_write_1h: Decimal | None = None
    batch_input: Decimal | None = None
    batch_output: Decimal | None = None
    since: str = ""
    until: str = ""
    hours_utc: tuple[str, ...] = ()
    weekdays: tuple[int, ...] = ()


def price_at(prices: Iterable[Price], at: float) -> Price | None:
    """Return the first price that holds at a moment (seconds since the epoch), None where none does."""
    return next((price for price in prices if _holds(price, at)), None)


def cost(usage: Usage, prices: Iterable[Price], at: float, *, own: bool) -> Decimal | None:
    """Return the exact cost in USD of a call made at a moment: what the provider reports, else tokens times prices.

    None where a price it needs is unknown. Prices that are the user's ``own`` come before what the provider reports.
    Tokens of the provider's cache cost as much as other input where their own price is not known.
    """
    if usage.cost is not None and not own:
        return usage.cost
    price = price_at(prices, at)
    if price is None or price.input is None:
        return usage.cost
    from decimal import Decimal

    hour_writes = min(usage.cache_write_1h_tokens, usage.cache_write_tokens)
    uncached = max(0, usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens)
    counts = (
        uncached,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens - hour_writes,
        hour_writes,
    )
    total = Decimal(0)
    for tokens, each in zip(counts, _prices(price, usage.input_tokens), strict=True):
        if not tokens:
            continue
        if each is None:
            return usage.cost
        total += tokens * each
    return total.scaleb(-6)


def _prices(price: Price, input_tokens: int) -> tuple[Decimal | None, ...]:
    """Return the prices of uncached input, output, cache reads, cache writes and those for an hour."""
    if price.long_above is not None and input_tokens > price.long_above:
        plain, output, read = price.long_input, price.long_output, price.long_cache_read
        write, write_1h = price.long_cache_write, price.long_cache_write_1h
    else:
        plain, output, read = price.input, price.output, price.cache_read
        write, write_1h = price.cache_write, price.cache_write_1h
    write = plain if write is None else write
    return plain, output, plain if read is None else read, write, write if write_1h is None else write_1h


def _holds(price: Price, at: float) -> bool:
    if not (price.since or price.until or price.weekdays or price.hours_utc):
        return True
    day, second = divmod(int(at), _DAY)
    if price.since and day < day_number(price.since):
        return False
    if price.until and day > day_number(price.until):
        return False
    if price.weekdays and (day + 3) % 7 + 1 not in price.weekdays:
        return False
    return not price.hours_utc or any(begin <= second < end for begin, end in map(seconds_of, price.hours_utc))


def day_number(day: str) -> int:
    """Return the days from 1970-01-01 to a day written as 2026-11-30. Raises ValueError for anything else."""
    from datetime import date

    return date.fromisoformat(day).toordinal() - _EPOCH


def seconds_of(hours: str) -> tuple[int, int]:
    """Return begin and end of hours written as 01:00-04:00, in seconds of the day. Raises ValueError for others."""
    begin, dash, end = hours.partition("-")
    first, last = (_clock(word) for word in (begin, end))
    if not dash or first >= last:
        raise ValueError(f"{hours!r} are no hours of a day")
    return first, last


def _clock(word: str) -> int:
    hour, _, minute = word.partition(":")
    if not (hour.isdecimal() and len(hour) == 2 and minute.isdecimal() and len(minute) == 2):
        raise ValueError(f"{word!r} is no time of day")
    seconds = int(hour) * 3600 + int(minute) * 60
    if int(minute) > 59 or seconds > _DAY:
        raise ValueError(f"{word!r} is no time of day")
    return seconds
