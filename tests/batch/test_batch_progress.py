"""How far a batch has come, in words."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from arawn.cli.output import Output
from arawn.cli.report.progress import Progress, duration
from arawn.errors import ServerError


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def shown(progress, seconds):
    async def story():
        async with progress.shown():
            await asyncio.sleep(seconds)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.6, "60 s"),
        (89, "89 s"),
        (90, "2 min"),
        (3599, "1 h"),
        (3600 + 300, "1 h 5 min"),
        (90_000, "25 h"),
    ],
)
def test_a_time_is_told_in_its_two_largest_units(seconds, text):
    assert duration(seconds) == text


def test_the_summary_says_what_came_of_it(clock):
    progress = Progress(Output({}), None, monotonic=clock)
    for _ in range(9_998):
        progress.add(Decimal("0.0001"))
    progress.add(Decimal("0.2302"))
    progress.add(Decimal(0), ServerError("broken"))
    progress.keep()
    clock.now += 190
    assert progress.summary() == "10,000 done (1 of them before), 1 failed, $1.23, 3 min"
    assert progress.fields() == {
        "done": 10_000,
        "kept": 1,
        "failed": 1,
        "cost": 1.23,
        "unknown_costs": 0,
        "seconds": 190.0,
    }


@pytest.mark.parametrize(
    ("costs", "text", "field"),
    [
        ([None], "cost unknown", None),
        ([Decimal("0.5"), None], "$0.5000 + unknown", 0.5),
        ([Decimal(0)], "$0.00", 0.0),
        ([], "$0.00", 0.0),
    ],
)
def test_a_cost_nobody_knows_is_not_taken_for_nothing(clock, costs, text, field):
    progress = Progress(Output({}), None, monotonic=clock)
    for cost in costs:
        progress.add(cost)
    assert text in progress.summary()
    assert progress.fields()["cost"] == field


def test_without_a_terminal_there_is_a_line_now_and_then(clock, capfd):
    progress = Progress(Output({}), 20, pause=0.02, monotonic=clock)
    for _ in range(6):
        progress.keep()
    for _ in range(4):
        progress.add(Decimal("0.25"))
    progress.blank(1)
    clock.now += 8
    shown(progress, 0.07)
    lines = capfd.readouterr().err.splitlines()
    assert set(lines) == {"10 of 19 · 0 failed · 0.5/s · $1.00 · 18 s left"}


def test_where_nobody_knows_how_many_there_are_it_says_how_many_there_were(clock, capfd):
    progress = Progress(Output({}), None, pause=0.02, monotonic=clock)
    progress.add(None)
    progress.blank(3)
    clock.now += 2
    shown(progress, 0.03)
    assert capfd.readouterr().err == "1 · 0 failed · 0.5/s · cost unknown\n"


def test_quiet_shows_nothing(clock, capfd):
    shown(Progress(Output({}, quiet=True), 10, pause=0.01, bar=True, monotonic=clock), 0.05)
    assert capfd.readouterr().err == ""
