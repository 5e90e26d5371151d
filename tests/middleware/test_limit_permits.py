"""What a call that was let through gives back, however it ends."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress

import pytest
from support.http_backend import ASK
from support.limited_backend import END, HI, LimitFixture, ScriptedBackend, collect_events

from arawn.engine.blocking import iterate
from arawn.errors import (
    BackendTimeoutError,
    BudgetError,
    ConnectionFailedError,
    ContextLengthError,
    OverloadedError,
    RateLimitError,
    StreamInterruptedError,
)
from arawn.events import Notice
from arawn.messages import Usage
from arawn.values import replace


@pytest.fixture
def bench(tmp_path):
    found = LimitFixture(tmp_path / "arawn.db")
    yield found
    found.database.close()


@pytest.mark.parametrize(
    ("events", "left"),
    [
        ((*HI, END), 85),
        ((*HI, replace(END, usage=None)), 60),
        ((*HI, replace(END, usage=Usage(0, 0))), 60),
        ((ContextLengthError("too long", status=400),), 100),
        ((RateLimitError("slow", status=429),), 100),
        ((HI[0], OverloadedError("busy")), 100),
        ((ConnectionFailedError("nobody there"),), 100),
        ((BudgetError("no money"),), 100),
        ((BackendTimeoutError("late", clock="first event"),), 60),
        ((BackendTimeoutError("late", clock="connect"),), 100),
        ((StreamInterruptedError("cut"),), 60),
        ((*HI, StreamInterruptedError("cut")), 60),
        ((*HI, OverloadedError("busy")), 60),
        ((*HI, KeyboardInterrupt()), 60),
    ],
)
def test_a_call_is_counted_by_what_it_took(bench, events, left):
    with suppress(BaseException):
        collect_events(bench.around(ScriptedBackend(*events), tpm=100, concurrent=1))
    assert bench.left(100) == left
    assert bench.held() == 0


def test_a_reader_who_leaves_gives_the_permit_back(bench):
    events = iterate(bench.around(ScriptedBackend(*HI, END), tpm=100, concurrent=1).stream(ASK))
    next(events)
    assert bench.held() == 1
    events.close()
    assert (bench.held(), bench.left(100)) == (0, 60)


def test_a_reader_who_leaves_while_it_waits_took_no_permit(bench):
    bench.taken(rpm=1, concurrent=2)
    events = iterate(bench.around(ScriptedBackend(*HI, END), rpm=1, concurrent=2).stream(ASK))
    assert isinstance(next(events), Notice)
    events.close()
    assert bench.held() == 1


def test_ctrl_c_during_a_wait_leaves_no_permit(bench):
    bench.taken(rpm=1)

    async def sleep(seconds):
        raise KeyboardInterrupt

    inner = ScriptedBackend(*HI)
    with pytest.raises(KeyboardInterrupt):
        collect_events(bench.around(inner, rpm=1, sleep=sleep))
    assert (inner.asked, len(bench.database.rows("SELECT id FROM permits"))) == (0, 1)


def test_a_cancelled_task_gives_its_permit_back(bench):
    class Slow(ScriptedBackend):
        async def stream(self, request):
            yield HI[0]
            await asyncio.sleep(60)

    async def story():
        async def read():
            async with aclosing(bench.around(Slow(), concurrent=1).stream(ASK)) as events:
                async for _ in events:
                    pass

        task = asyncio.ensure_future(read())
        await asyncio.sleep(0.01)
        assert bench.held() == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(story())
    assert bench.held() == 0


def test_of_a_long_answer_a_quarter_of_the_minute_is_expected(bench):
    def estimate(request):
        return 10 + (request.max_tokens or 20)

    inner = ScriptedBackend(HI[0], KeyboardInterrupt())
    for longest, left in [(None, 70), (20, 40), (5_000, 5)]:
        with pytest.raises(KeyboardInterrupt):
            collect_events(bench.around(inner, tpm=100, estimate=estimate), replace(ASK, max_tokens=longest))
        assert bench.left(100) == left
