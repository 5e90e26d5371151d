"""Points in time as they are typed: 2026-11-01, 7d, 24h, today, month; the calendar is that of UTC."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from arawn.errors import UsageError

if TYPE_CHECKING:
    from datetime import datetime

EVER = "all"
HELP = "a day (2026-11-01), a month (2026-11), an age (24h, 7d, 2w), or today, yesterday, month, year, all"

_AGES = {"h": 3_600, "d": 86_400, "w": 604_800}
_AGE = re.compile(r"([0-9]{1,6})([hdw])")
_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")
_DAYS = {"today": 0, "yesterday": 1}


def since(text: str, now: float) -> float:
    """Return the time a text means, in seconds since the epoch; ``all`` is 0. Raises UsageError for anything else."""
    word = text.strip().lower()
    if age := _AGE.fullmatch(word):
        return max(0.0, now - int(age[1]) * _AGES[age[2]])
    if word == EVER:
        return 0.0
    try:
        found = _begun(word, now) or _written(text.strip())
        return max(0.0, found.timestamp())
    except (ValueError, OverflowError):
        raise UsageError(f"{text!r} is no time", hints=[f"expected {HELP}"]) from None


def shown(moment: float) -> str:
    """Return a time in UTC, without the clock where a day begins."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(moment)).removesuffix(":00").removesuffix(" 00:00")


def stamp(moment: float) -> str:
    """Return a time for programs: ISO 8601, in UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def day(moment: float) -> str:
    """Return the day of a time in UTC, as 2026-11-30."""
    return time.strftime("%Y-%m-%d", time.gmtime(moment))


def local(moment: float) -> str:
    """Return a time of the user's own clock, to the minute."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))


def _begun(word: str, now: float) -> datetime | None:
    """Return when a day, month or year began that has a name; None for other words."""
    from datetime import UTC, datetime, timedelta

    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if word in _DAYS:
        return today - timedelta(_DAYS[word])
    if word == "month":
        return today.replace(day=1)
    return today.replace(month=1, day=1) if word == "year" else None


def _written(text: str) -> datetime:
    """Read a date, a month or a date with a time. Raises ValueError for anything else."""
    from datetime import UTC, datetime

    found = datetime.fromisoformat(f"{text}-01" if _MONTH.fullmatch(text) else text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
