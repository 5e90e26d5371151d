"""Conversations only grow at their end: what was sent is sent again, until a new prefix begins, which is said.

Where a protocol asks for something else, it is named here: a text that the assistant is to go on with may not end in
white space at Anthropic (https://platform.claude.com/docs/en/api/messages), so the library takes that away as long as
it stands last; and a question that got no answer is no part of a conversation: it is not sent with the next one.
"""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from support.chat_terminal import CTRL_D, PROMPT, ChatTerminal
from support.loopback import Loopback, answer
from support.scripted_answers import PATHS, answers, items

from arawn.messages import Image, Message, Reasoning, Role, Text, ToolCall, ToolResult
from arawn.store.database import Database
from arawn.store.records import Entry
from arawn.store.sessions import Sessions

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(64))
SIGNED = {"openai_chat": "sig-", "openai_responses": "enc-", "anthropic": "sig-"}
"""What stands in a request that sends signed reasoning back."""


def configure(home, adapter, server, more=""):
    home.configure(
        f'[llm]\nbackend = "here"\nmax_tokens = 1000\n{more}\n[backends.here]\nadapter = "{adapter}"\n'
        f'base_url = "{server.url}{PATHS[adapter]}"\nmodel = "m-1"\nmax_retries = 0\n'
    )


def asked(home, *words):
    run = home.run("ask", *words)
    assert run.code == 0, run
    return run


def add_tool_records(home):
    """Put a turn with a tool loop behind the last one, under the same prefix."""
    with Database(str(home.path / "arawn.db")) as database:
        store = Sessions(database)
        last = store.load(store.resolve("last").id)
        metadata, ids = last.entries[-1].message.metadata, {"backend": "here", "model": "m-1"}
        thought = Reasoning("look it up", item={"type": "reasoning_content"}, owner="here")
        call = ToolCall("call_1", "look", '{"at": "1"}')
        result = ToolResult("call_1", (Text("it is red"), Image(PNG, "image/png")), "look")
        turn = store.add_turn(last.info.id, Message(Role.USER, (Text("look at it"),)), **ids)
        spoken = [
            Message(Role.ASSISTANT, (thought, call), metadata),
            Message(Role.TOOL, (result,)),
            Message(Role.ASSISTANT, (Text("It is red."),), metadata),
        ]
        for position, message in enumerate(spoken, 1):
            store.save_answer(last.info.id, Entry(message=message, turn=turn, position=position, **ids))


def say(person, *lines):
    """Send lines, each when the one before is answered."""
    for number, line in lines:
        person.send_line(line)
        person.wait_for(f"answer-{number} ")
        person.wait_for("Enter sends")


def sent_items(adapter, server):
    return [items(adapter, request.body) for request in server.requests]


@pytest.mark.parametrize("adapter", PATHS)
def test_in_ten_turns_each_request_begins_with_all_of_the_one_before(home, adapter):
    (home.work / "notes.txt").write_bytes("naïve 🙂\r\n".encode())
    (home.work / "red.png").write_bytes(PNG)
    with Loopback(*answers(adapter, 11)) as server:
        configure(home, adapter, server, 'system = "Be brief. "')
        asked(home, "-s", "ten", "one", "-f", "notes.txt")
        add_tool_records(home)
        asked(home, "-s", "ten", "two", "-f", "red.png")
        runs = [asked(home, "-s", "ten", "--think", "high", "three"), asked(home, "-c", "--temperature", "1", "four")]
        with ChatTerminal(home, "-s", "ten") as person:
            person.wait_for(PROMPT)
            say(person, (5, "five"), (6, "/retry"))
            person.send_line("/temperature 0.5")
            person.wait_for("temperature: 0.5")
            say(person, (7, "six"), (8, "seven"))
            person.type(CTRL_D)
            assert person.wait_for_exit() == 0
        with ChatTerminal(home, "-c") as person:
            person.wait_for(PROMPT)
            say(person, (9, "eight"), (10, "nine"))
            assert "prefix" not in person.shown
        runs.append(asked(home, "-c", "ten"))
        sent = sent_items(adapter, server)
    assert len(sent) == 11
    for earlier, later in pairwise(sent):
        assert later[: len(earlier)] == earlier
    assert [len(each) for each in sent] == sorted(len(each) for each in sent)
    assert sent[4] == sent[5], "/retry asks the same again"
    whole = "".join(sent[-1])
    assert SIGNED.get(adapter, "hm ") + "1" in whole
    assert '"call_1"' in whole
    assert adapter != "openai_chat" or '"reasoning_content": "look it up"' in whole
    assert "prefix" not in "".join(run.err for run in runs)


@pytest.mark.parametrize("adapter", SIGNED)
def test_another_system_prompt_begins_a_new_prefix_and_leaves_out_what_was_signed_for_the_old_one(home, adapter):
    with Loopback(*answers(adapter, 4)) as server:
        configure(home, adapter, server)
        asked(home, "-s", "s", "one")
        quiet = asked(home, "-s", "s", "two")
        changed = asked(home, "-s", "s", "--system", "Be kind.", "three")
        later = asked(home, "-s", "s", "four")
        sent = ["".join(each) for each in sent_items(adapter, server)]
    words = "the system prompt changed: a new prefix begins, and what was cached or signed for the old one is not used"
    assert (quiet.err, changed.err, later.err) == ("", f"{words}\n", "")
    mark = SIGNED[adapter]
    found = [[number for number in (1, 2, 3) if f"{mark}{number}" in text] for text in sent]
    assert found == [[], [1], [], [3]]
    assert "Be kind." in sent[3]
    assert "answer-1" in sent[3]


def test_a_system_prompt_that_changed_in_the_configuration_is_said_in_chat(home):
    with Loopback(*answers("anthropic", 3)) as server:
        configure(home, "anthropic", server, 'system = "Be brief."')
        asked(home, "one")
        configure(home, "anthropic", server, 'system = "Be kind."')
        with ChatTerminal(home, "-c") as person:
            person.wait_for(PROMPT)
            say(person, (2, "two"))
            assert person.shown.count("the system prompt changed: a new prefix begins") == 1
            say(person, (3, "three"))
            assert person.shown.count("the system prompt changed: a new prefix begins") == 1
        assert json.loads(server.requests[-1].body)["system"] == "Be kind."


def test_another_model_of_the_backend_is_not_sent_what_the_first_one_signed(home):
    with Loopback(*answers("anthropic", 3)) as server:
        configure(home, "anthropic", server)
        asked(home, "-s", "s", "one")
        other = asked(home, "-s", "s", "-m", "m-2", "two")
        back = asked(home, "-s", "s", "-m", "m-1", "three")
        sent = ["".join(each) for each in sent_items("anthropic", server)]
    words = "reasoning and tool records of earlier turns not sent: they were signed for another model\n"
    assert (other.err, back.err) == (words, words)
    assert ["sig-1" in text for text in sent] == [False, False, True]
    assert ["sig-2" in text for text in sent] == [False, False, False]


def test_another_backend_is_not_sent_what_the_first_one_signed_and_the_first_one_gets_it_again(home):
    with Loopback(*answers("anthropic", 3)) as server:
        configure(
            home,
            "anthropic",
            server,
            f'\n[backends.there]\nadapter="anthropic"\nbase_url="{server.url}"\nmodel="m-1"\n',
        )
        asked(home, "-s", "s", "one")
        other = asked(home, "-s", "s", "-b", "there", "two")
        asked(home, "-s", "s", "-b", "here", "three")
        sent = ["".join(each) for each in sent_items("anthropic", server)]
    assert 'not sent to backend "there"' in other.err
    assert ["sig-1" in text for text in sent] == [False, False, True]
    assert "sig-2" not in sent[2]


def test_a_branch_shares_the_prefix(home):
    with Loopback(*answers("anthropic", 3)) as server:
        configure(home, "anthropic", server)
        asked(home, "-s", "s", "one")
        asked(home, "-s", "s", "two")
        made = home.run("sessions", "branch", "s", "--turn", "1").out.strip()
        run = asked(home, "-s", made, "other")
        first, second, branched = sent_items("anthropic", server)
    assert run.err == ""
    assert branched[:-1] == second[:-1] != first
    assert "sig-1" in "".join(branched)


def test_a_question_that_failed_is_not_sent_with_the_next_one(home):
    good = answers("anthropic", 3)
    with Loopback(good[0], [answer(status=400)], good[2]) as server:
        configure(home, "anthropic", server)
        asked(home, "-s", "s", "one")
        assert home.run("ask", "-s", "s", "two").code == 8
        asked(home, "-s", "s", "three")
        first, second, third = sent_items("anthropic", server)
    assert third[:-1] == second[:-1] == [*first, *third[1:-1]]
    assert '"two"' not in third[-1]
