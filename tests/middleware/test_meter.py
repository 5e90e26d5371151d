"""The meter around a mock backend, on a real ledger: what it writes, tells, waits for and refuses."""

from __future__ import annotations

from contextlib import aclosing
from decimal import Decimal

import pytest
from support.ledger_file import NOON, call, completed_call, file_of, ledger_in, limit, max_cost, query

from arawn.backends.mock import MockBackend, MockResponse
from arawn.engine.blocking import iterate, run
from arawn.engine.blocking import sleep as no_sleep
from arawn.errors import BudgetError, ServerError, StreamInterruptedError
from arawn.events import Finished, Notice, TextDelta, collect
from arawn.messages import Caller, ChatRequest, Message, Role, Text, Thinking
from arawn.middleware.meter import RESERVATION_WAIT, Accounting, Meter, MeterEmbedder
from arawn.middleware.pricing import Pricing
from arawn.models.catalog import ModelFacts
from arawn.models.money import stored
from arawn.models.prices import Price
from arawn.store.calls import Call
from arawn.values import replace

PRICED = ModelFacts(backend="b", id="m-1", prices=(Price(input=Decimal(1), output=Decimal(10)),), max_output=1_000)
REQUEST = ChatRequest("m-1", (Message(Role.USER, (Text("a question of words"),)),), caller=Caller("llm", "s-1"))


class Desk:
    """A meter with everything around it: what was observed and told, and a clock that sleeping moves."""

    def __init__(self, folder, *replies, limits=(), facts=PRICED, allow_unpriced=False, **pricing):
        self.folder = folder
        self.observed = []
        self.logged = []
        self.waits = []
        self.time = 100.0
        self.on_wait = lambda: None
        self.database, self.ledger = ledger_in(folder)
        self.backend = MockBackend("b", sleep=no_sleep)
        for reply in replies or ("one two three",):
            self.backend.with_response(MockResponse.text(reply) if isinstance(reply, str) else reply)
        self.accounting = Accounting(
            self.ledger,
            limits,
            sleep=self.sleep,
            notify=lambda *completed_call: self.observed.append(completed_call),
            log=lambda event, **fields: self.logged.append((event, fields)),
            allow_unpriced=allow_unpriced,
            monotonic=lambda: self.time,
            now=lambda: NOON,
        )
        self.pricing = Pricing(backend="b", model="m-1", facts=facts, **pricing)
        self.meter = Meter(self.backend, self.accounting, self.pricing)

    async def sleep(self, seconds):
        self.waits.append(seconds)
        self.time += seconds
        self.on_wait()

    def hear(self, request=REQUEST):
        return list(iterate(self.meter.stream(request)))

    def rows(self, columns):
        return query(self.folder, f"SELECT {columns} FROM calls ORDER BY id")


@pytest.fixture
def desk(tmp_path):
    made = []

    def make(*replies, **options):
        made.append(Desk(tmp_path, *replies, **options))
        return made[-1]

    yield make
    for each in made:
        each.database.close()


def test_the_last_event_says_what_the_call_cost_and_the_observer_hears_the_same(desk):
    at = desk()
    *_, finished = at.hear()
    [(seen, request, response, error)] = at.observed
    assert isinstance(finished, Finished)
    assert finished.usage.cost == seen.cost == (5 * 1 + 4 * 10) * Decimal("1e-6")
    assert (request, response.text, error) == (REQUEST, "one two three", None)
    assert at.rows("session, cost, outcome") == [("s-1", stored(seen.cost), "complete")]


def test_a_reader_who_leaves_pays_for_what_was_said_until_then(desk):
    at = desk()

    async def leave():
        async with aclosing(at.meter.stream(REQUEST)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    break

    run(leave())
    assert at.rows("outcome, counted, output_tokens > 0, cost > 0, error") == [
        ("interrupted", "estimated", 1, 1, "stopped")
    ]
    assert isinstance(at.observed[0][3], GeneratorExit)


def test_a_reader_who_leaves_after_the_end_changes_nothing(desk):
    at = desk()

    async def leave():
        async with aclosing(at.meter.stream(REQUEST)) as events:
            async for event in events:
                if isinstance(event, Finished):
                    break

    run(leave())
    assert at.rows("outcome, counted") == [("complete", "reported")]
    assert len(at.observed) == 1


@pytest.mark.parametrize(
    ("reply", "kind", "outcome"),
    [
        (MockResponse.error("rate_limit"), "rate_limit", "rejected"),
        (MockResponse.error("authentication"), "authentication", "rejected"),
        (MockResponse.error("request"), "request", "rejected"),
        (MockResponse.error("server"), "server", "rejected"),
        (MockResponse.error("connection"), "connection", "unreached"),
        (MockResponse.error("timeout"), "timeout", "interrupted"),
        (MockResponse.error("protocol"), "protocol", "interrupted"),
        (MockResponse.error("interrupted", text="half of it"), "interrupted", "interrupted"),
    ],
)
def test_a_failure_is_paid_only_where_it_may_have_been_served(desk, reply, kind, outcome):
    at = desk(reply)
    with pytest.raises(Exception) as failed:  # noqa: PT011 -- the kind is what is looked at
        at.hear()
    [(found, error, asked, cost)] = at.rows("outcome, error, input_tokens, cost")
    assert (failed.value.kind, found, error) == (kind, outcome, kind)
    assert asked > 0
    assert (cost > 0) == (outcome == "interrupted")


def test_what_is_not_known_is_unknown_and_what_is_free_is_free(desk, tmp_path):
    at = desk(facts=None)
    *_, finished = at.hear()
    assert finished.usage.cost is None
    at.meter = Meter(at.backend, at.accounting, Pricing(backend="b", model="m-1", hourly_rate=Decimal(0)))
    *_, finished = at.hear()
    assert finished.usage.cost == 0
    assert at.rows("cost") == [(None,), (0,)]


def test_a_price_not_known_is_refused_under_a_budget_before_anything_is_sent(desk):
    at = desk(facts=None, limits=[limit("5")])
    with pytest.raises(BudgetError, match="the price of b/m-1 is not known"):
        at.hear()
    assert at.backend.call_count == 0


def test_the_worst_case_is_the_models_longest_answer_unless_the_request_is_shorter(desk):
    at = desk(limits=[limit("0.005")])
    at.hear()
    assert at.backend.requests[0].max_tokens == 497  # what is left of it for an answer, at 10 USD a million
    with pytest.raises(BudgetError):
        at.hear(ChatRequest("m-1", REQUEST.messages, max_tokens=600))


def test_a_reader_who_leaves_at_a_notice_pays_nothing_and_reserves_nothing(desk):
    at = desk(limits=[limit("0.005")])

    async def leave():
        async with aclosing(at.meter.stream(REQUEST)) as events:
            async for event in events:
                assert isinstance(event, Notice)
                break

    run(leave())
    assert at.rows("outcome, cost, reserved") == [("unreached", 0, 0)]


def test_an_answer_that_thinks_is_held_to_what_was_reserved(desk):
    at = desk(limits=[limit("5")])
    at.hear(replace(REQUEST, thinking=Thinking("high")))
    at.hear(REQUEST)
    assert [request.max_tokens for request in at.backend.requests] == [1_000, None]


def test_it_waits_for_what_others_have_reserved_and_goes_on_when_they_are_done(desk):
    budget = [limit("0.012")]
    at = desk(limits=budget)
    other = at.ledger.open(call(), max_cost("0.011"), budget)
    at.on_wait = lambda: len(at.waits) == 3 and at.ledger.settle(other, completed_call("0.0001"), budget)

    *_, finished = at.hear()

    assert isinstance(finished, Finished)
    assert len(at.waits) == 3


def test_it_does_not_wait_for_ever(desk):
    budget = [limit("0.012")]
    at = desk(limits=budget)
    at.ledger.open(call(), max_cost("0.011"), budget)
    with pytest.raises(BudgetError, match="reserved by calls under way"):
        at.hear()
    assert sum(at.waits) == pytest.approx(RESERVATION_WAIT, abs=0.5)
    assert at.backend.call_count == 0


def test_an_alert_is_told_to_the_reader_and_to_the_log(desk):
    at = desk("word " * 400, limits=[limit("0.02")])
    notices = [event.text for _ in range(4) for event in at.hear() if isinstance(event, Notice) and "%" in event.text]
    assert notices == [
        "75 % of the budget of all time is spent: $0.0150 of $0.0200",
        "90 % of the budget of all time is spent: $0.0200 of $0.0200",
    ]
    (event, fields), _ = at.logged
    assert (event, fields["percent"], fields["limit"], fields["period"]) == ("budget_alert", 75, "0.02", "total")


def test_where_the_file_cannot_be_used_a_call_goes_on_without_a_budget_and_not_with_one(desk, tmp_path):
    (tmp_path / "arawn.db").write_bytes(b"no database " * 100)
    (tmp_path / "arawn.db").chmod(0o600)
    at = desk()
    *_, notice, finished = at.hear()
    assert notice.text.startswith(f"what this call took is not in the ledger: cannot use {file_of(tmp_path)}")
    assert finished.usage.cost > 0
    strict = desk(limits=[limit("5")])
    with pytest.raises(BudgetError, match="the budget cannot be checked"):
        strict.hear()
    assert strict.backend.call_count == 0


def test_vectors_are_written_and_held_to_the_budget_too(desk):
    at = desk(limits=[limit("0.0001")])
    embedder = MeterEmbedder(at.backend, at.accounting, at.pricing)
    embeddings = run(embedder.embed(["four letters each"] * 3))
    assert embeddings.usage.cost == Decimal("13e-6")
    assert at.rows("role, input_tokens, outcome, counted, cost") == [
        ("embeddings", 13, "complete", "reported", stored(Decimal("13e-6")))
    ]
    with pytest.raises(BudgetError):
        run(embedder.embed(["word " * 400]))


def test_the_attempt_says_how_many_went_before(desk):
    at = desk(MockResponse.error("server"), "good")
    with pytest.raises(ServerError):
        at.hear()
    run(collect(at.meter.stream(ChatRequest("m-1", REQUEST.messages, caller=Caller(attempt=1)))))
    assert at.rows("retries, role, session") == [(0, "llm", "s-1"), (1, "llm", "")]


def test_a_broken_stream_keeps_its_error_and_is_observed_once(desk):
    at = desk(MockResponse.error("interrupted", text="half of it all"))
    with pytest.raises(StreamInterruptedError) as broken:
        at.hear()
    [(seen, _, response, error)] = at.observed
    assert error is broken.value
    assert isinstance(seen, Call)
    assert response.text == "half of"
