"""Parameters that a server refuses: left out once and remembered for a day; arawn as a process, the server counted."""

from __future__ import annotations

import json

import pytest
from support.http_backend import STREAM, delta, endpoint, streamed
from support.ledger_file import query
from support.loopback import CHUNKED, Loopback, answer, chunked, head
from support.processes import Home
from support.transports import EVERY_TRANSPORT

from arawn.adapters.anthropic.messages import AnthropicAdapter
from arawn.adapters.base import Quirks
from arawn.adapters.openai.chat import OpenAIChatAdapter
from arawn.backends.http import HttpBackend
from arawn.events import Notice, TextDelta
from arawn.messages import ChatRequest, Message, Reasoning, Role, Text
from arawn.middleware.learned import MAX_ROUNDS, Learned
from arawn.store.database import Database
from arawn.store.learned import LEARNED_FOR, REREAD_AFTER, LearnedParameters, Place, forget

NOON = 1_795_262_400.0


def refusal(message, status=400, **fields):
    return [answer(json.dumps({"error": {"message": message, **fields}}).encode(), status)]


def unsupported(name):
    return refusal(f"Unsupported parameter: '{name}'", param=name, code="unsupported_parameter")


GOOD = streamed(*STREAM)
QUIRKS = Quirks()


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def bodies(server):
    return [json.loads(request.body) for request in server.requests]


def asked(home, *words):
    return home.run("ask", "--temperature", "0.5", "Hi", *words)


def test_a_refused_parameter_is_left_out_once_and_said_in_one_line(home):
    with Loopback(unsupported("temperature"), GOOD) as server:
        home.serve(server.url)
        run = asked(home)
    assert (run.code, run.out) == (0, "Good day\n"), run
    assert ["temperature" in body for body in bodies(server)] == [True, False]
    assert run.err.splitlines() == ['temperature not sent to backend "here": its server refuses it']
    first, second = bodies(server)
    assert first == {**second, "temperature": 0.5}


def test_the_repeat_is_a_row_of_its_own_in_the_ledger(home):
    with Loopback(unsupported("temperature"), GOOD) as server:
        home.serve(server.url, "hourly_rate = 1.0")
        asked(home)
    rows = query(home.path, "SELECT outcome, retries, cost FROM calls ORDER BY id")
    assert [row[:2] for row in rows] == [("rejected", 0), ("complete", 1)]
    assert rows[0][2] == 0


def test_what_was_learned_holds_for_the_next_process_and_the_model_alone(home):
    with Loopback(unsupported("temperature"), GOOD) as server:
        home.serve(server.url)
        asked(home)
        again, other = asked(home), asked(home, "-m", "m-2")
    assert (again.code, other.code) == (0, 0)
    assert ["temperature" in body for body in bodies(server)] == [True, False, False, True]
    assert again.err == 'temperature not sent to backend "here": its server refuses it\n'
    assert "temperature" not in other.err


def test_it_is_learned_without_saving_too_and_no_text_is_kept(home):
    with Loopback(unsupported("temperature"), GOOD) as server:
        home.serve(server.url)
        asked(home, "--no-save", "precious words")
        asked(home, "--no-save")
    assert len(server.requests) == 3
    assert not home.holds("precious words")


def test_it_is_forgotten_on_request(home):
    with Loopback(unsupported("temperature"), GOOD) as server:
        home.serve(server.url)
        asked(home)
        shown, listed = home.run("cache"), home.run("cache", "--json")
        kept = home.run("cache", "clear", "--learned", "-b", "groq", "--json")
        forgotten = home.run("cache", "clear", "--learned")
        asked(home)
    assert "refused by here for m-1, and left out: temperature" in shown.err
    place = {"backend": "here", "address": f"{server.url}/v1", "model": "m-1"}
    assert json.loads(listed.out)["learned"] == [{**place, "parameters": ["temperature"]}]
    assert json.loads(kept.out) == {"removed": 0}
    assert forgotten.err == "removed: 1 refused parameter\n"
    assert ["temperature" in body for body in bodies(server)] == [True, False, True]


def test_a_limit_is_renamed_both_ways_and_never_left_out(home):
    usual, other = "max_tokens", "max_completion_tokens"
    with Loopback(unsupported(usual), GOOD, GOOD, unsupported(other), GOOD) as server:
        home.serve(server.url)
        runs = [home.run("ask", "--max-tokens", "50", "Hi") for _ in range(3)]
    assert [run.code for run in runs] == [0, 0, 0]
    limits = [{key: body[key] for key in (usual, other) if key in body} for body in bodies(server)]
    assert limits == [{usual: 50}, {other: 50}, {other: 50}, {other: 50}, {usual: 50}]
    assert runs[0].err == 'backend "here" takes no "max_tokens": sent again with the other name\n'
    assert runs[1].err == ""


def test_several_refused_one_after_the_other_are_left_out_up_to_a_few(home):
    extra = '[backends.here.extra]\nseed = 1\ntop_k = 2\ntop_p = 0.5\nverbosity = "low"\n'
    names = ["temperature", "seed", "top_k", "top_p"]
    for count in (MAX_ROUNDS, MAX_ROUNDS + 1):
        home.run("cache", "clear", "--learned")
        with Loopback(*map(unsupported, names[:count]), GOOD) as server:
            home.serve(server.url, extra)
            run = asked(home)
        assert len(server.requests) == MAX_ROUNDS + 1
        assert run.code == (0 if count == MAX_ROUNDS else 8), run
        assert bodies(server)[-1]["verbosity"] == "low"


def test_the_same_refusal_twice_is_final_and_nothing_is_learned(home):
    with Loopback(unsupported("temperature")) as server:
        home.serve(server.url)
        run = asked(home)
    assert (run.code, len(server.requests)) == (8, 2), run
    assert "Unsupported parameter" in run.err
    assert query(home.path, "SELECT count(*) FROM learned") == [(0,)]


@pytest.mark.parametrize(
    "name", ["tools", "messages", "response_format", "model", "stream", "stream_options", "system", "max_output_tokens"]
)
def test_what_means_too_much_is_never_left_out(home, name):
    with Loopback(unsupported(name), GOOD) as server:
        home.serve(server.url)
        run = asked(home)
    assert (run.code, len(server.requests)) == (8, 1), run


@pytest.mark.parametrize("status", [401, 403, 404, 413, 500])
def test_only_a_refused_request_is_repeated_without_it(home, status):
    body = refusal("Unsupported parameter: 'temperature'", status, param="temperature", code="unsupported_parameter")
    with Loopback(body, GOOD) as server:
        home.serve(server.url)
        run = asked(home)
    assert len(server.requests) == 1, run
    assert run.code != 0


def test_a_refusal_by_422_is_learned_as_well(home):
    detail = {"detail": [{"type": "extra_forbidden", "loc": ["body", "temperature"], "msg": "Extra inputs"}]}
    with Loopback([answer(json.dumps(detail).encode(), 422)], GOOD) as server:
        home.serve(server.url)
        assert asked(home).code == 0
    assert len(server.requests) == 2


def test_once_text_was_delivered_nothing_is_repeated(home):
    failed = b'data: {"error": {"message": "no", "param": "temperature", "code": "unsupported_parameter"}}\n\n'
    with Loopback([head(headers=CHUNKED), chunked(delta("Half"), failed)], GOOD) as server:
        home.serve(server.url)
        run = asked(home)
    assert (len(server.requests), run.out.strip()) == (1, "Half"), run
    assert run.code != 0


@EVERY_TRANSPORT
def test_a_refusal_that_comes_inside_a_successful_answer_is_learned_while_nothing_was_delivered(runner, tmp_path):
    failed = b'data: {"error": {"message": "no", "param": "seed", "code": "unsupported_parameter"}}\n\n'
    events = []
    request = ChatRequest("m-1", (Message(Role.USER, (Text("Hi"),)),), seed=1)

    async def story(transport):
        backend = HttpBackend(endpoint(transport, server.url), OpenAIChatAdapter("local", QUIRKS))
        with Database(str(tmp_path / "arawn.db")) as database:
            learned = Learned(backend, server.url, LearnedParameters(database))
            events.extend([event async for event in learned.stream(request)])

    with Loopback([head(headers=CHUNKED), chunked(failed)], GOOD) as server:
        runner.play(story)
    assert ["seed" in body for body in bodies(server)] == [True, False]
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "Good day"


@EVERY_TRANSPORT
def test_thinking_signed_for_another_conversation_is_left_out_once_and_not_remembered(runner, tmp_path):
    thought = Reasoning("Hm", "c2ln", None, "local")
    messages = (
        Message(Role.USER, (Text("Hi"),)),
        Message(Role.ASSISTANT, (thought, Text("Hello"))),
        Message(Role.USER, (Text("And?"),)),
    )
    found = []

    async def story(transport):
        backend = HttpBackend(endpoint(transport, server.url), AnthropicAdapter("local", QUIRKS))
        with Database(str(tmp_path / "arawn.db")) as database:
            learned = Learned(backend, server.url, LearnedParameters(database))
            found.extend([event async for event in learned.stream(ChatRequest("m-1", messages))])
            assert LearnedParameters(database).refused(Place("local", server.url, "m-1")) == frozenset()

    bound = refusal("messages.1.content.0: The block is bound to a different conversation")
    whole = {"type": "message", "content": [{"type": "text", "text": "So"}], "stop_reason": "end_turn"}
    with Loopback(bound, [answer(json.dumps(whole).encode())]) as server:
        runner.play(story)
    contents = [[block["type"] for block in body["messages"][1]["content"]] for body in bodies(server)]
    assert contents == [["thinking", "text"], ["text"]]
    assert [event.kind for event in found if isinstance(event, Notice)] == ["dropped"]


# ---- what is remembered ----

PLACE = Place("here", "https://a.example/v1", "m-1")


@pytest.fixture
def database(tmp_path):
    with Database(str(tmp_path / "arawn.db")) as opened:
        yield opened


@pytest.mark.parametrize(
    ("later", "known"),
    [(0.0, True), (LEARNED_FOR - 1, True), (LEARNED_FOR, False), (LEARNED_FOR + 1, False), (-1, False)],
)
def test_it_is_remembered_for_a_day(database, later, known):
    LearnedParameters(database, now=lambda: NOON).add(PLACE, ["seed", "stop"])
    found = LearnedParameters(database, now=lambda: NOON + later).refused(PLACE)
    assert found == (frozenset({"seed", "stop"}) if known else frozenset())


@pytest.mark.parametrize("field", ["backend", "address", "model"])
def test_it_is_known_of_that_place_alone(database, field):
    learned = LearnedParameters(database, now=lambda: NOON)
    learned.add(PLACE, ["seed"])
    assert learned.refused(PLACE.__replace__(**{field: "other"})) == frozenset()


def test_what_is_older_than_a_day_goes_with_the_next(database):
    LearnedParameters(database, now=lambda: NOON).add(PLACE, ["seed"])
    LearnedParameters(database, now=lambda: NOON + LEARNED_FOR).add(PLACE, ["stop"])
    assert database.rows("SELECT parameter FROM learned") == [("stop",)]


def test_forgetting_says_how_many_there_were(database):
    learned = LearnedParameters(database)
    learned.add(PLACE, ["seed", "stop"])
    learned.add(PLACE.__replace__(backend="other"), ["seed"])
    assert [forget(database, "nosuch"), forget(database, "here"), forget(database), forget(database)] == [0, 2, 1, 0]


def test_where_nothing_can_be_written_it_is_remembered_by_the_process(tmp_path):
    (tmp_path / "arawn.db").write_bytes(b"no database at all, but long enough to look at")
    (tmp_path / "arawn.db").chmod(0o600)
    now = [NOON]
    learned = LearnedParameters(Database(str(tmp_path / "arawn.db")), now=lambda: now[0])
    learned.add(PLACE, ["seed"])
    assert learned.refused(PLACE) == {"seed"}
    now[0] += LEARNED_FOR
    assert learned.refused(PLACE) == frozenset()


def test_what_another_process_learned_or_forgot_is_known_a_minute_later(database):
    now = [NOON]
    ours, theirs = (LearnedParameters(database, now=lambda: now[0]) for _ in range(2))
    assert ours.refused(PLACE) == frozenset()
    theirs.add(PLACE, ["seed"])
    now[0] = NOON + REREAD_AFTER - 1
    assert ours.refused(PLACE) == frozenset()
    now[0] = NOON + REREAD_AFTER
    assert ours.refused(PLACE) == {"seed"}
    forget(database)
    now[0] += REREAD_AFTER
    assert ours.refused(PLACE) == frozenset()


def test_what_a_process_learned_itself_it_knows_at_once(database):
    learned = LearnedParameters(database, now=lambda: NOON)
    assert learned.refused(PLACE) == frozenset()
    learned.add(PLACE, ["seed"])
    assert learned.refused(PLACE) == {"seed"}
