"""The thread on which the MLX backend works, and how its work is stopped."""

from __future__ import annotations

import threading
from contextlib import aclosing

import pytest
from support.mlx_stand_in import answer_to, called, request

from arawn.backends.mlx import MlxBackend
from arawn.engine.blocking import iterate
from arawn.events import TextDelta, collect


def test_a_reader_who_stops_early_ends_the_generation(mlx_lm):
    events = iterate(MlxBackend("local").stream(request()))

    next(event for event in events if isinstance(event, TextDelta))
    events.close()

    assert len(called(mlx_lm, "step")) == 1
    assert mlx_lm.closed.is_set()


def test_without_an_event_loop_it_works_in_the_callers_thread(mlx_lm):
    answer_to(request())

    assert mlx_lm.threads == {threading.current_thread()}


def test_under_asyncio_all_work_is_done_on_one_other_thread(mlx_lm):
    import asyncio

    async def ask_two_at_once():
        backend = MlxBackend("local")
        return await asyncio.gather(*(collect(backend.stream(request())) for _ in range(2)))

    responses = asyncio.run(ask_two_at_once())

    assert [response.text for response in responses] == ["Hello, world"] * 2
    assert len(mlx_lm.threads) == 1
    assert threading.current_thread() not in mlx_lm.threads


def test_the_event_loop_goes_on_while_a_token_is_made(mlx_lm):
    import asyncio

    mlx_lm.gate = threading.Event()

    async def ask_and_open_the_gate():
        answer = asyncio.create_task(collect(MlxBackend("local").stream(request())))
        await asyncio.to_thread(mlx_lm.entered.wait, 20)
        mlx_lm.gate.set()
        return await answer

    assert asyncio.run(ask_and_open_the_gate()).text == "Hello, world"


def test_a_cancelled_answer_ends_the_generation_after_its_step(mlx_lm):
    import asyncio

    mlx_lm.gate = threading.Event()

    async def ask_and_cancel():
        async def read():
            async with aclosing(MlxBackend("local").stream(request())) as stream:
                return [event async for event in stream]

        answer = asyncio.create_task(read())
        await asyncio.to_thread(mlx_lm.entered.wait, 20)
        answer.cancel()
        mlx_lm.gate.set()
        await answer

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(ask_and_cancel())

    assert mlx_lm.closed.is_set()
    assert len(called(mlx_lm, "step")) == 1
