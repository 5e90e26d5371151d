"""Limit in front of a backend, with a real file; time passes only while somebody sleeps."""

from __future__ import annotations

from contextlib import aclosing

import pytest
from support.http_backend import ASK, endpoint
from support.limited_backend import END, HI, LimitFixture, ScriptedBackend, collect_events, notices
from support.loopback import Loopback, answer
from support.transports import EVERY_TRANSPORT

from arawn.adapters.base import Quirks
from arawn.adapters.openai.chat import OpenAIChatAdapter
from arawn.backends.http import HttpBackend
from arawn.backends.mock import MockBackend, MockResponse
from arawn.engine.blocking import run
from arawn.errors import ContextLengthError, OverloadedError, RateLimitError
from arawn.events import Notice
from arawn.messages import Embeddings, Usage
from arawn.middleware.limit import JITTER, MAX_SLEEP, LimitEmbedder, header_observer
from arawn.middleware.retry import Retry, RetryPolicy
from arawn.store.limits import Quota, Wait


@pytest.fixture
def bench(tmp_path):
    found = LimitFixture(tmp_path / "arawn.db")
    yield found
    found.database.close()


# ---- waiting ----


def test_what_may_go_at_once_passes_unchanged(bench):
    assert collect_events(bench.around(ScriptedBackend(*HI, END), rpm=5, tpm=100, concurrent=1)) == [*HI, END]
    assert (bench.slept, bench.logged, bench.held()) == ([], [], 0)


def test_it_waits_for_its_place_and_says_so_once(bench):
    bench.taken(rpm=1)
    bench.now += 48
    events = collect_events(bench.around(ScriptedBackend(*HI, END), rpm=1))
    assert events == [Notice("limited", "waiting 12 s for b's limit of 1 request a minute"), *HI, END]
    assert bench.slept == [5.0, 5.0, 2.0]
    fields = {"backend": "b", "wait_s": 12.0, "reason": "b's limit of 1 request a minute"}
    assert bench.logged == [("rate_limited", fields)]


@pytest.mark.parametrize(
    ("quota", "words"),
    [
        ({"rpm": 2}, "waiting 60 s for b's limit of 2 requests a minute"),
        ({"tpm": 50_000}, "waiting 60 s for b's limit of 50,000 tokens a minute"),
    ],
)
def test_it_says_what_it_waits_for(bench, quota, words):
    limited = bench.around(ScriptedBackend(*HI), estimate=lambda _: 30_000, **quota)
    collect_events(limited)
    collect_events(limited) if "rpm" in quota else None
    assert notices(collect_events(limited)) == [words]


def test_a_short_wait_is_logged_and_not_announced(bench):
    bench.taken(rpm=1)
    bench.now += 59.5
    assert collect_events(bench.around(ScriptedBackend(*HI), rpm=1)) == [*HI]
    assert bench.slept == [0.5]
    assert [fields["wait_s"] for _, fields in bench.logged] == [0.5]


def test_it_waits_for_a_call_to_end_and_announces_it_when_that_takes_long(bench):
    permit = bench.taken(concurrent=1)

    async def sleep(seconds):
        await bench.sleep(seconds)
        if bench.now >= 102:
            bench.limits.release(permit)

    events = collect_events(bench.around(ScriptedBackend(*HI), concurrent=1, sleep=sleep))
    assert notices(events) == ["waiting for b's limit of 1 call at the same time"]
    assert len(bench.logged) == 1
    assert bench.held() == 0


def test_it_goes_as_soon_as_it_may_also_where_more_was_expected(bench):
    permit = bench.limits.acquire("b", Quota(tpm=100), 90)

    async def sleep(seconds):
        await bench.sleep(seconds)
        bench.limits.release(permit, 10)

    collect_events(bench.around(ScriptedBackend(*HI), tpm=100, sleep=sleep))
    assert bench.slept == [MAX_SLEEP]


def test_those_who_wait_for_the_same_moment_are_spread(bench):
    bench.limits.close("b", 3.0)
    bench.random = 0.5
    collect_events(bench.around(ScriptedBackend(*HI)))
    assert bench.slept == [3.0 + JITTER / 2]


def test_it_never_waits_longer_than_it_may(bench):
    bench.taken(rpm=1)
    bench.now += 30
    inner = ScriptedBackend(*HI)
    with pytest.raises(RateLimitError) as caught:
        collect_events(bench.around(inner, rpm=1, max_wait=29.0))
    error = caught.value
    assert error.message == 'Backend "b" may not be called now: limit of 1 request a minute, free in 30 s'
    assert error.hints[0] == "raise the limit: arawn config set backends.b.rpm N"
    assert "llm.fallback" in error.hints[1]
    assert (error.exit_code, error.backend, error.retry_after, error.reached) == (6, "b", pytest.approx(30.0), False)
    assert (inner.asked, bench.slept) == (0, [])


def test_it_gives_up_when_the_time_is_over(bench):
    bench.taken(concurrent=1)
    with pytest.raises(RateLimitError, match=r"limit of 1 call at the same time \(waited 3 s\)"):
        collect_events(bench.around(ScriptedBackend(*HI), concurrent=1, max_wait=3.0))
    assert 2.5 <= sum(bench.slept) <= 3.0
    assert bench.held() == 1


def test_what_nobody_may_wait_for_is_not_tried_again(bench):
    bench.taken(rpm=1)
    limited = bench.around(ScriptedBackend(*HI), rpm=1, max_wait=5.0)
    with pytest.raises(RateLimitError):
        collect_events(Retry(limited, RetryPolicy(sleep=bench.sleep, random=lambda: 1.0)))
    assert bench.slept == []


# ---- the provider's own words ----


def test_a_pause_the_provider_asks_for_is_one_for_everybody(bench):
    busy = RateLimitError("slow down", status=429, retry_after=12.0)
    with pytest.raises(RateLimitError):
        collect_events(bench.around(ScriptedBackend(busy)))
    other = bench.around(ScriptedBackend(*HI), max_wait=600.0)
    assert notices(collect_events(other)) == ["waiting 12 s for b, which asked for a pause"]


@pytest.mark.parametrize(
    "error",
    [
        RateLimitError("slow down", status=429),
        RateLimitError("slow down", status=429, retry_after=61.0),
        ContextLengthError("too long", status=400, retry_after=12.0),
    ],
)
def test_who_asks_for_no_pause_or_for_too_long_a_one_gets_none(bench, error):
    with pytest.raises(type(error)):
        collect_events(bench.around(ScriptedBackend(error)))
    assert collect_events(bench.around(ScriptedBackend(*HI))) == [*HI]
    assert bench.slept == []


@EVERY_TRANSPORT
def test_what_a_server_tells_in_its_headers_is_kept(bench, runner):
    def told(left):
        names = {"x-ratelimit-limit-requests": "50", "x-ratelimit-remaining-requests": str(left)}
        return {**names, "X-RateLimit-Reset-Requests": "1m7.5s"}

    body = b'{"id": "a", "model": "m", "choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}'
    scripts = [[answer(body, headers=told(1))], [answer(b"{}", 400, headers=told(0))], [answer(body)]]

    async def story(transport):
        observe = header_observer(bench.limits, "local", bench.log)
        there = endpoint(transport, server.url, key=None, observe=observe)
        backend = HttpBackend(there, OpenAIChatAdapter("local", Quirks()))
        for _ in range(2):
            await asked(backend)
            found.append(bench.database.rows("SELECT requests_left, requests_reset FROM paces"))
        found.append(bench.limits.acquire("local", Quota(), 5))

    async def asked(backend):
        try:
            async with aclosing(bench.around(backend, backend="local").stream(ASK)) as events:
                async for _ in events:
                    pass
        except Exception as error:  # noqa: BLE001 -- the second answer is one
            found.append(type(error).__name__)

    found = []
    with Loopback(*scripts) as server:
        runner.play(story)
    assert found == [[(1, 160.0)], "RequestError", [(0, 160.0)], Wait(60.0, "requests")]


# ---- without a database ----


def test_a_database_that_cannot_be_used_stops_no_call_and_is_told_once(tmp_path):
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"this is no database" * 100)
    bench = LimitFixture(broken)
    limited = bench.around(
        ScriptedBackend(*HI, RateLimitError("slow", status=429, retry_after=3.0)), rpm=1, concurrent=1
    )
    for _ in range(2):
        with pytest.raises(RateLimitError, match="slow"):
            collect_events(limited)
    assert [name for name, _ in bench.logged] == ["rate_limited"]
    assert bench.logged[0][1]["reason"].startswith("no limit is kept: cannot use ")


def test_an_observer_without_a_database_tells_it_once(tmp_path):
    (tmp_path / "broken.db").write_bytes(b"this is no database" * 100)
    bench = LimitFixture(tmp_path / "broken.db")
    observe = header_observer(bench.limits, "b", bench.log)
    for _ in range(2):
        observe({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "5s"})
    assert len(bench.logged) == 1


# ---- embeddings ----


def test_embeddings_wait_and_are_counted_too(bench):
    class Embedding:
        async def embed(self, texts):
            return Embeddings(((1.0,),) * len(texts), usage=Usage(25))

    embedder = LimitEmbedder(Embedding(), bench.policy(tpm=100, concurrent=1), lambda _: 40)
    assert len(run(embedder.embed(["one", "two"])).vectors) == 2
    assert bench.left(100) == 75
    bench.limits.close("b", 3.0)
    run(embedder.embed(["three"]))
    assert (bench.slept, bench.held()) == ([3.0], 0)


def test_an_embedding_that_fails_gives_its_permit_back_and_asks_for_a_pause(bench):
    class Busy:
        async def embed(self, texts):
            raise OverloadedError("busy", status=529, retry_after=7.0)

    embedder = LimitEmbedder(Busy(), bench.policy(tpm=100, concurrent=1), lambda _: 40)
    with pytest.raises(OverloadedError):
        run(embedder.embed(["one"]))
    assert bench.held() == 0
    assert notices(collect_events(bench.around(ScriptedBackend(*HI)))) == ["waiting 7 s for b, which asked for a pause"]


def test_a_backend_in_this_process_may_be_limited_as_well(bench):
    limited = bench.around(MockBackend("b").with_response(MockResponse.text("Hi")), rpm=1)
    assert limited.name == "b"
    collect_events(limited)
    collect_events(limited)
    assert sum(bench.slept) == pytest.approx(60.0)
