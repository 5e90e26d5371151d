"""``arawn.batch``: many questions at a time, with little in memory, and an end that loses no answer."""

from __future__ import annotations

import asyncio
import gc
import re
import subprocess
import sys
import weakref
from contextlib import aclosing
from pathlib import Path

import pytest
from support.http_backend import STREAM, streamed
from support.loopback import Loopback
from support.waiting import eventually

from arawn import Client, LLMConfig, batch, get_llm_client
from arawn.backends.mock import MessageMatcher, MockBackend, MockResponse
from arawn.errors import BudgetError, RateLimitError, UsageError
from arawn.events import Notice
from arawn.messages import Role


class Paced:
    """Answers ``(name, seconds)`` after that time; ``began`` and ``ended`` tell what happened."""

    def __init__(self):
        self.began, self.ended, self.cancelled = [], [], []
        self.max_concurrent = 0

    async def stream(self, question):
        name, seconds = question
        self.began.append(name)
        self.max_concurrent = max(self.max_concurrent, len(self.began) - len(self.ended) - len(self.cancelled))
        try:
            await asyncio.sleep(seconds)
            if name.startswith("poor"):
                raise BudgetError("no money left")
            async with aclosing(MockBackend.echo().stream(batch.prompt(name))) as events:
                async for event in events:
                    yield event
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise
        self.ended.append(name)


def gathered(asked, questions, **options):
    async def story():
        async with aclosing(batch.run(asked, questions, **options)) as answers:
            return [answer async for answer in answers]

    return asyncio.run(story())


def names(answers):
    return [answer.question[0] for answer in answers]


# ---- answers ----


def test_every_question_gets_its_own_answer():
    answers = gathered(MockBackend.echo(), [batch.prompt(f"number {n}") for n in range(200)])
    assert sorted(answer.text for answer in answers) == sorted(f"number {n}" for n in range(200))
    assert all(answer.text == answer.question.messages[-1].text and answer.error is None for answer in answers)


def test_answers_come_out_as_they_finish():
    assert names(gathered(Paced(), [("slow", 0.1), ("quick", 0.0), ("middle", 0.05)])) == ["quick", "middle", "slow"]


def test_an_answer_says_how_long_it_took():
    reply = MockResponse.text("one two").with_latency(20).with_tokens_per_second(50)
    [answer] = gathered(MockBackend().with_response(reply), [batch.prompt("hi")])
    assert 19 <= answer.first_token_ms <= answer.latency_ms - 15


def test_a_failure_is_in_its_answer_with_what_came_before_it_and_the_rest_goes_on():
    mock = MockBackend.echo()
    mock.with_pattern_response(MessageMatcher.exact("fast"), MockResponse.error("rate_limit"))
    mock.with_pattern_response(MessageMatcher.exact("cut"), MockResponse.error("interrupted", text="Good day"))
    answers = {
        answer.question.messages[-1].text: answer
        for answer in gathered(mock, map(batch.prompt, ["a", "fast", "cut", "z"]))
    }
    assert isinstance(answers["fast"].error, RateLimitError)
    assert (answers["cut"].error.kind, answers["cut"].text) == ("interrupted", "Good")
    assert [answers[name].text for name in "az"] == ["a", "z"]


def test_notices_are_told_with_the_answer():
    class Noticing:
        async def stream(self, question):
            yield Notice("budget", "75 % are spent")
            async with aclosing(MockBackend.echo().stream(question)) as events:
                async for event in events:
                    yield event

    [answer] = gathered(Noticing(), [batch.prompt("hi")])
    assert (answer.notices, answer.text) == ((Notice("budget", "75 % are spent"),), "hi")


def test_no_questions_are_no_answers():
    assert gathered(MockBackend.echo(), []) == []


def test_a_prompt_may_have_a_system_prompt():
    messages = batch.prompt("hi", "Be brief.").messages
    assert [(message.role, message.text) for message in messages] == [(Role.SYSTEM, "Be brief."), (Role.USER, "hi")]


# ---- at the same time ----


def test_no_more_than_so_many_are_asked_at_the_same_time():
    asked = Paced()
    gathered(asked, [(f"q{n}", 0.05) for n in range(40)], jobs=5)
    assert asked.max_concurrent == 5


def test_one_at_a_time_keeps_the_order():
    questions = [(f"q{n}", 0.003 * (n % 3)) for n in range(10)]
    assert names(gathered(Paced(), questions, jobs=1)) == [name for name, _ in questions]


@pytest.mark.parametrize("jobs", [0, -1])
def test_nobody_works_with_no_jobs(jobs):
    with pytest.raises(UsageError, match="jobs: expected a whole number above 0"):
        batch.run(MockBackend.echo(), [], jobs=jobs)


def test_questions_are_taken_one_by_one_and_forgotten_when_they_are_answered():
    alive = weakref.WeakSet()

    class Question:
        def __init__(self, name):
            self.name = name

        def __iter__(self):
            return iter((self.name, 0))

    def questions():
        for n in range(3000):
            question = Question(f"q{n}")
            alive.add(question)
            yield question

    async def story():
        most = 0
        async with aclosing(batch.run(Paced(), questions(), jobs=4)) as answers:
            async for _ in answers:
                gc.collect(0)
                most = max(most, len(alive))
        return most

    assert asyncio.run(story()) < 24


def test_a_reader_who_takes_his_time_holds_up_the_asking():
    asked = Paced()

    async def story():
        async with aclosing(batch.run(asked, [(f"q{n}", 0) for n in range(1000)], jobs=4)) as answers:
            await anext(answers)
            await asyncio.sleep(0.05)
            return len(asked.began)

    assert asyncio.run(story()) <= 2 * 4 + 1


def test_questions_may_come_from_an_asynchronous_iterator_that_takes_its_time():
    async def questions():
        for n in range(6):
            await asyncio.sleep(0.005)
            yield f"q{n}", 0

    assert sorted(names(gathered(Paced(), questions(), jobs=3))) == [f"q{n}" for n in range(6)]


# ---- ends ----


def test_after_a_budget_error_nothing_more_is_asked_and_what_is_under_way_is_finished():
    asked = Paced()
    questions = [("slow", 0.1), ("poor", 0.01), *((f"q{n}", 0.05) for n in range(50))]
    answers = gathered(asked, iter(questions), jobs=3)
    assert asked.began == ["slow", "poor", "q0"]
    assert sorted(names(answers)) == ["poor", "q0", "slow"]
    assert [answer.question[0] for answer in answers if answer.error] == ["poor"]
    assert asked.cancelled == []


def test_after_a_budget_error_nobody_waits_for_another_question():
    async def questions():
        yield "poor", 0.01
        await asyncio.sleep(60)
        yield "never", 0

    asked = Paced()
    assert names(gathered(asked, questions(), jobs=3)) == ["poor"]
    assert asked.began == ["poor"]


def test_stopping_cancels_what_is_under_way_and_gives_out_what_is_there():
    asked = Paced()
    questions = [("a", 0), ("b", 0), *((f"slow{n}", 60) for n in range(20))]

    async def story():
        work = batch.Batch(asked, questions, jobs=4)
        found = []
        async with aclosing(work.answers()) as answers:
            async for answer in answers:
                if not found:
                    await eventually(lambda: len(asked.began) == 6)
                    work.stop()
                found.append(answer)
        return found

    assert sorted(names(asyncio.run(story()))) == ["a", "b"]
    assert sorted(asked.cancelled) == [f"slow{n}" for n in range(4)]


def test_a_batch_that_was_stopped_before_it_began_asks_nothing():
    asked = Paced()

    async def story():
        work = batch.Batch(asked, [("a", 0)])
        work.stop()
        return [answer async for answer in work.answers()]

    assert asyncio.run(story()) == []
    assert asked.began == []


def test_a_reader_who_leaves_early_leaves_nothing_running():
    asked = Paced()

    async def story():
        async with aclosing(batch.run(asked, [("quick", 0), *((f"slow{n}", 60) for n in range(9))], jobs=4)) as answers:
            await anext(answers)
        return len(asyncio.all_tasks())

    assert asyncio.run(story()) == 1
    assert len(asked.cancelled) == len(asked.began) - 1


def test_what_the_questions_raise_comes_through_and_the_rest_is_cancelled():
    asked = Paced()

    def questions():
        yield "slow", 60
        raise ZeroDivisionError("in the questions")

    with pytest.raises(ZeroDivisionError, match="in the questions"):
        gathered(asked, questions())
    assert asked.cancelled == ["slow"]


def test_a_bug_in_what_is_asked_comes_through():
    class Broken:
        async def stream(self, question):
            yield question.nothing

    with pytest.raises(AttributeError):
        gathered(Broken(), [("a", 0)])


# ---- with a client ----


def test_a_client_is_asked_over_connections_it_uses_again():
    async def story(server):
        async with (
            get_llm_client(LLMConfig("remote", "tiny", "a-key", f"{server.url}/v1")) as client,
            aclosing(batch.run(client, map(batch.prompt, map(str, range(30))), jobs=3)) as answers,
        ):
            return [answer.text async for answer in answers]

    with Loopback(streamed(*STREAM)) as server:
        assert asyncio.run(story(server)) == ["Good day"] * 30
    assert server.connections <= 3


def test_stopping_closes_the_connections_under_way():
    async def story(server):
        async with get_llm_client(LLMConfig("remote", "tiny", "a-key", f"{server.url}/v1")) as client:
            work = batch.Batch(client, map(batch.prompt, map(str, range(30))), jobs=3)

            async def stop():
                await eventually(lambda: len(server.requests) == 3)
                work.stop()

            stopping = asyncio.create_task(stop())
            found = [answer async for answer in work.answers()]
            await stopping
            await eventually(lambda: not server._open)
            return found

    with Loopback([]) as server:
        assert asyncio.run(story(server)) == []


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ARAWN_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture(autouse=True)
def configured(home):
    file = home / "config.toml"
    file.write_text('[backends.remote]\nadapter = "openai_chat"\nbase_url = "http://127.0.0.1:1/v1"\n')
    file.chmod(0o600)


def test_a_client_of_the_mock_needs_nothing(home):
    async def story():
        async with Client("mock", "small") as client, aclosing(batch.run(client, [batch.prompt("hi")])) as answers:
            return [(answer.text, answer.response.model) async for answer in answers]

    assert asyncio.run(story()) == [("hi", "small")]


def test_the_example_of_the_page_runs(home):
    page = (Path(__file__).parents[2] / "docs" / "batch.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    with (home / "config.toml").open("a") as file:
        file.write('[llm]\nbackend = "mock"\n')
    done = subprocess.run([sys.executable, "-W", "error", "-c", example], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("What is") == 40
