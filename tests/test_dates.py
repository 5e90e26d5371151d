"""Points in time as they are typed after --since."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from support.ledger_rows import timestamp

from arawn import dates
from arawn.errors import UsageError

NOW = timestamp("2026-11-21 13:45")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("2026-11-01", "2026-11-01"),
        ("2026-11", "2026-11-01"),
        ("20261103", "2026-11-03"),
        ("2026-11-01T10:30", "2026-11-01 10:30"),
        ("2026-11-01 10:30", "2026-11-01 10:30"),
        ("2026-11-01T10:30Z", "2026-11-01 10:30"),
        ("2026-11-01T10:30+02:00", "2026-11-01 08:30"),
        ("24h", "2026-11-20 13:45"),
        ("7d", "2026-11-14 13:45"),
        ("2w", "2026-11-07 13:45"),
        ("today", "2026-11-21"),
        ("yesterday", "2026-11-20"),
        ("month", "2026-11-01"),
        ("year", "2026-01-01"),
        ("Today", "2026-11-21"),
        (" 7D ", "2026-11-14 13:45"),
    ],
)
def test_a_time_is_understood_in_many_forms(typed, meant):
    assert dates.since(typed, NOW) == timestamp(meant)


@pytest.mark.parametrize("typed", ["all", "999999w", "1969-12-31", "0001-01-01"])
def test_all_and_what_lies_before_any_clock_is_the_beginning(typed):
    assert dates.since(typed, NOW) == 0


@pytest.mark.parametrize(
    "typed",
    ["", "soon", "7", "d", "-3d", "1.5d", "2026-13", "2026-02-30", "\u0667d", "9999999d", "2026-11-01T25:00", "7m"],
)
def test_what_is_no_time_is_told_with_what_would_be(typed):
    with pytest.raises(UsageError, match="is no time") as raised:
        dates.since(typed, NOW)
    assert "7d" in raised.value.hints[0]


def test_days_are_those_of_utc_wherever_the_user_is():
    script = (
        "import time; time.tzset(); from arawn import dates\n"
        f"print([dates.since(word, {NOW}) for word in ('today', '2026-11-21', 'month')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env={**os.environ, "TZ": "Pacific/Kiritimati"}
    )
    assert done.stdout == f"{[timestamp('2026-11-21'), timestamp('2026-11-21'), timestamp('2026-11-01')]}\n", (
        done.stderr
    )


@pytest.mark.parametrize(
    ("at", "shown"),
    [("2026-11-01", "2026-11-01"), ("2026-11-01 10:30", "2026-11-01 10:30"), ("2026-11-01 10:00", "2026-11-01 10:00")],
)
def test_a_time_is_shown_no_longer_than_it_must(at, shown):
    assert dates.shown(timestamp(at)) == shown


def test_seconds_are_shown_where_there_are_some():
    assert dates.shown(timestamp("2026-11-01") + 5) == "2026-11-01 00:00:05"
    assert dates.stamp(timestamp("2026-11-01") + 5.9) == "2026-11-01T00:00:05Z"
