"""Fallback over real circuits: who is asked, what the user is told, and when nobody else may answer."""

from __future__ import annotations

from contextlib import aclosing, suppress

import pytest
from support.http_backend import ASK

from arawn.engine.blocking import iterate, run
from arawn.errors import (
    AuthenticationError,
    BackendTimeoutError,
    BudgetError,
    ConfigError,
    ConnectionFailedError,
    ContentFilterError,
    ContextLengthError,
    ModelNotAvailableError,
    OverloadedError,
    PermissionDeniedError,
    ProtocolError,
    QuotaExceededError,
    RateLimitError,
    RequestError,
    SecretError,
    ServerError,
    StreamInterruptedError,
)
from arawn.events import Finished, FinishReason, Notice, ReasoningDelta, Started, TextDelta, ToolCallStarted
from arawn.middleware.fallback import Candidate, Fallback
from arawn.store.circuits import Circuits
from arawn.store.database import Database
from arawn.values import replace

END = Finished(FinishReason.STOP)
DOWN = ConnectionFailedError("Cannot connect to One at http://one", hints=["Is it running?"])


def said(backend, *events):
    return [Started(backend, "m"), *(events or (TextDelta(f"{backend} here"),)), END]


class Bench:
    """Backends that say what they are told to, each time the next of their scripts, and a clock that a test moves."""

    def __init__(self, file):
        self.now = 1000.0
        self.told = []
        self.made = []
        self.asked = []
        self.database = Database(str(file))
        self.circuits = Circuits(self.database, monotonic=lambda: self.now)

    def among(self, **scripts):
        """A fallback from the first of these backends to the others."""
        candidates = [self.candidate(name, name, *script) for name, script in scripts.items()]
        return Fallback(candidates, self.circuits, log=lambda event, **fields: self.told.append((event, fields)))

    def candidate(self, backend, model, *scripts):
        def make():
            self.made.append(backend)
            return ScriptedBackend(self, backend, list(scripts))

        return Candidate(backend, model, make, lambda request: replace(request, model=f"{backend}'s"))

    def open(self, backend, *, times=3):
        for _ in range(times):
            self.circuits.record_failure(self.circuits.check(backend), "server")


class ScriptedBackend:
    """A backend that plays its scripts, the last again and again."""

    def __init__(self, bench, name, scripts):
        self.name = name
        self._bench = bench
        self._scripts = scripts

    async def stream(self, request):
        self._bench.asked.append((self.name, request.model))
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        for each in script if isinstance(script, list) else [script]:
            if isinstance(each, BaseException):
                raise each
            yield each


@pytest.fixture
def bench(tmp_path):
    found = Bench(tmp_path / "arawn.db")
    yield found
    found.database.close()


def ask(fallback):
    return list(iterate(fallback.stream(ASK)))


def names(bench):
    return [name for name, _ in bench.asked]


# ---- who is asked ----


def test_the_first_answers_and_nobody_else_is_even_made(bench):
    fallback = bench.among(one=[said("one")], two=[said("two")])
    assert fallback.name == "one"
    assert ask(fallback) == said("one")
    assert ask(fallback) == said("one")
    assert (bench.made, bench.told) == (["one"], [])


def test_another_answers_and_one_line_says_so_when_its_answer_begins(bench):
    events = ask(bench.among(one=[DOWN], two=[said("two")]))
    assert events == [
        Notice("fallback", "two answers: one: Cannot connect to One at http://one"),
        *said("two"),
    ]
    assert bench.asked == [("one", "one's"), ("two", "two's")]
    assert bench.told == [
        (
            "backend_switched",
            {
                "from": "one",
                "to": "two",
                "reason": "connection",
                "tried": [{"backend": "one", "model": "one", "reason": "connection", "asked": True}],
            },
        )
    ]


def test_the_line_names_all_that_failed_in_order(bench):
    events = ask(bench.among(one=[DOWN], two=[RateLimitError("too fast")], three=[said("three")]))
    assert events[0] == Notice("fallback", "three answers: one: Cannot connect to One at http://one; two: too fast")


def test_two_models_of_one_backend_are_told_apart(bench):
    candidates = [bench.candidate("one", "large", ServerError("oops")), bench.candidate("one", "tiny", said("one"))]
    events = ask(Fallback(candidates, bench.circuits, log=lambda *_, **__: None))
    assert events[0].text == "one/tiny answers: one/large: oops"


SWITCHING = [
    DOWN,
    ServerError("500"),
    OverloadedError("529"),
    RateLimitError("429"),
    QuotaExceededError("402"),
    *(BackendTimeoutError("late", clock=clock) for clock in ("connect", "first event", "idle", "ping")),
    StreamInterruptedError("cut"),
    ProtocolError("HTML"),
    BudgetError("one's budget", backend="one"),
]
STAYING = [
    BackendTimeoutError("late", clock="total"),
    BudgetError("the budget"),
    AuthenticationError("key"),
    PermissionDeniedError("not for this"),
    RequestError("400"),
    ModelNotAvailableError("no model"),
    ContextLengthError("too long"),
    ContentFilterError("filtered"),
    ConfigError("config"),
    SecretError("secret"),
]


@pytest.mark.parametrize("error", SWITCHING, ids=lambda error: f"{error.kind}-{error}")
def test_another_answers_what_the_user_cannot_mend(bench, error):
    assert ask(bench.among(one=[error], two=[said("two")]))[1:] == said("two")


@pytest.mark.parametrize("error", STAYING, ids=lambda error: f"{error.kind}-{error}")
def test_nobody_else_hides_a_mistake(bench, error):
    with pytest.raises(type(error)) as caught:
        ask(bench.among(one=[error], two=[said("two")]))
    assert caught.value is error
    assert names(bench) == ["one"]


def test_a_mistake_of_the_second_ends_it_and_is_a_hint_of_the_first_one_s_error(bench):
    wrong = AuthenticationError('Authentication failed for backend "two"')
    first = ConnectionFailedError("Cannot connect")
    with pytest.raises(ConnectionFailedError) as caught:
        ask(bench.among(one=[first], two=[wrong], three=[said("three")]))
    assert caught.value is first
    assert first.hints == ('two: Authentication failed for backend "two"',)
    assert names(bench) == ["one", "two"]


def test_when_all_fail_the_first_error_is_raised_with_a_hint_for_each_other(bench):
    first = ServerError("one is ill", hints=["Try again later"])
    with pytest.raises(ServerError) as caught:
        ask(bench.among(one=[first], two=[RateLimitError("two is busy")], three=[OverloadedError("three is full")]))
    assert caught.value is first
    assert first.hints == ("Try again later", "two: two is busy", "three: three is full")
    assert bench.told == []


def test_a_bug_is_nothing_to_fall_back_from(bench):
    with pytest.raises(ZeroDivisionError):
        ask(bench.among(one=[ZeroDivisionError()], two=[said("two")]))
    assert names(bench) == ["one"]


# ---- never twice ----


@pytest.mark.parametrize("word", [TextDelta("H"), ReasoningDelta("hm"), ToolCallStarted(0, "c", "f"), END])
def test_r34_once_a_word_was_delivered_nobody_else_is_asked(bench, word):
    cut = StreamInterruptedError("cut")
    fallback = bench.among(one=[[Started("one", "m"), word, cut]], two=[said("two")])
    found = []

    async def story():
        async with aclosing(fallback.stream(ASK)) as events:
            async for event in events:
                found.append(event)  # noqa: PERF401 -- what came before the failure counts

    with pytest.raises(StreamInterruptedError) as caught:
        run(story())
    assert caught.value is cut
    assert found == [Started("one", "m"), word]
    assert names(bench) == ["one"]


def test_an_answer_begun_without_a_word_is_not_shown(bench):
    events = ask(bench.among(one=[[Started("one", "m"), StreamInterruptedError("cut")]], two=[said("two")]))
    assert [type(event) for event in events] == [Notice, Started, TextDelta, Finished]
    assert events[1].backend == "two"


def test_notices_pass_at_once_and_each_once(bench):
    dropped = Notice("dropped", "no pictures")
    events = ask(bench.among(one=[[dropped, DOWN]], two=[[dropped, *said("two")]]))
    assert [event.kind for event in events if isinstance(event, Notice)] == ["dropped", "fallback"]


def test_a_reader_who_leaves_closes_the_one_that_answers(bench):
    closed = []

    class Long:
        name = "one"

        async def stream(self, _):
            try:
                while True:
                    yield TextDelta("more")
            finally:
                closed.append(True)

    fallback = Fallback([Candidate("one", "m", Long, lambda it: it)], bench.circuits, log=lambda *_, **__: None)

    async def story():
        async with aclosing(fallback.stream(ASK)) as events:
            async for _ in events:
                break

    run(story())
    assert closed == [True]


# ---- circuits ----


def test_a_backend_that_failed_three_times_is_passed_over(bench):
    fallback = bench.among(one=[DOWN], two=[said("two")])
    for _ in range(3):
        ask(fallback)
    bench.asked.clear()
    bench.now += 6.0
    assert ask(fallback)[0].text == "two answers: one: failed 3 times, asked again in 24 s"
    assert names(bench) == ["two"]
    assert bench.told[-1][1]["tried"] == [{"backend": "one", "model": "one", "reason": "connection", "asked": False}]


@pytest.mark.parametrize(
    ("error", "counts"),
    [(each, not isinstance(each, RateLimitError | BudgetError)) for each in SWITCHING]
    + [(it, False) for it in STAYING],
    ids=str,
)
def test_only_failures_of_the_backend_s_health_count(bench, error, counts):
    fallback = bench.among(one=[error], two=[said("two")])
    for _ in range(3):
        with suppress(type(error)):
            ask(fallback)
    assert bench.circuits.check("one").allows is not counts


def test_answers_that_are_cut_count_too(bench):
    fallback = bench.among(one=[[*said("one")[:2], StreamInterruptedError("cut")]], two=[said("two")])
    for _ in range(3):
        with pytest.raises(StreamInterruptedError):
            ask(fallback)
    assert ask(fallback)[1:] == said("two")


def test_a_success_in_between_forgives(bench):
    fallback = bench.among(one=[DOWN, DOWN, said("one"), DOWN, DOWN, said("one")], two=[said("two")])
    backends = [ask(fallback)[-2].text for _ in range(6)]
    assert backends == ["two here", "two here", "one here"] * 2


def test_after_its_time_it_is_tried_and_answers_again(bench):
    fallback = bench.among(one=[said("one")], two=[said("two")])
    bench.open("one")
    assert ask(fallback)[1:] == said("two")
    bench.now += 30.0
    assert ask(fallback) == said("one")
    assert bench.database.rows("SELECT * FROM circuits") == []


def test_while_one_call_tries_it_others_pass_it_over(bench):
    fallback = bench.among(one=[said("one")], two=[said("two")])
    bench.open("one")
    bench.now += 30.0
    trying = iterate(fallback.stream(ASK))
    next(trying)
    assert ask(fallback)[0].text == "two answers: one: failed 3 times, another call tries it now"
    assert list(trying) == said("one")[1:]
    assert ask(fallback) == said("one")


@pytest.mark.parametrize("ending", [RateLimitError("429"), AuthenticationError("401")])
def test_a_try_that_says_nothing_of_its_health_leaves_the_next_one_to_others(bench, ending):
    fallback = bench.among(one=[ending, said("one")], two=[said("two")])
    bench.open("one")
    bench.now += 30.0
    with suppress(AuthenticationError):
        ask(fallback)
    assert ask(fallback) == said("one")


def test_a_reader_who_leaves_during_a_try_leaves_the_next_one_to_others(bench):
    fallback = bench.among(one=[said("one")], two=[said("two")])
    bench.open("one")
    bench.now += 30.0
    trying = iterate(fallback.stream(ASK))
    next(trying)
    trying.close()
    assert ask(fallback) == said("one")


def test_when_all_are_passed_over_the_one_that_opened_earliest_is_asked_all_the_same(bench):
    bench.open("two")
    bench.now += 1.0
    bench.open("one")
    fallback = bench.among(one=[said("one")], two=[said("two")])
    assert ask(fallback)[0].text == "two answers: one: failed 3 times, asked again in 30 s"
    assert names(bench) == ["two"]
    assert (bench.circuits.check("one").allows, bench.circuits.check("two").allows) == (False, True)


def test_the_first_asked_all_the_same_is_no_switch(bench):
    bench.open("one")
    fallback = bench.among(one=[said("one")], two=[DOWN])
    assert ask(fallback) == said("one")
    assert names(bench) == ["two", "one"]
    assert bench.told == []


def test_when_it_fails_too_the_others_are_hints(bench):
    bench.open("one")
    bench.now += 1.0
    bench.open("two")
    with pytest.raises(ServerError) as caught:
        ask(bench.among(one=[ServerError("ill")], two=[said("two")]))
    assert caught.value.hints == ("two: failed 3 times, asked again in 30 s",)


def test_a_database_that_cannot_be_used_stops_no_call(tmp_path):
    file = tmp_path / "arawn.db"
    file.mkdir()
    bench = Bench(file)
    fallback = bench.among(one=[DOWN], two=[said("two")])
    for _ in range(4):
        assert ask(fallback)[1:] == said("two")
    assert names(bench) == ["one", "two"] * 4
