"""What ``ask`` leaves behind: question and answer in the store, whatever ends it; and how the next one goes on."""

from __future__ import annotations

import json
import os
import resource
import signal
import sqlite3
from contextlib import closing

import pytest
from support.http_backend import DONE, STREAM, delta, streamed
from support.loopback import CHUNKED, Loopback, Pause, Stall, chunked, head
from support.processes import ECHO
from support.waiting import wait_until

FAILING = ECHO + '[backends.f]\nadapter = "mock"\n[[backends.f.replies]]\nerror = "quota"\n'
PIECES = [head(headers=CHUNKED), chunked(delta("Good "), delta("da"), end=False)]


def messages(home, session="last"):
    """The messages of a session: role, text, how each ended."""
    shown = home.run("sessions", "show", session, "--json")
    assert shown.code == 0, shown
    found = json.loads(shown.out)["messages"]
    return [(one["message"]["role"], text_of(one["message"]), one["status"]) for one in found]


def text_of(message):
    return "".join(part["text"] for part in message["parts"] if part["type"] == "text")


def sessions(home):
    listed = home.run("sessions", "list", "--json")
    assert listed.code == 0, listed
    return json.loads(listed.out)


def sent(server, request=-1):
    """What a backend was asked: role and text of each message."""
    body = json.loads(server.requests[request].body)
    return [(message["role"], message["content"]) for message in body["messages"]]


def read_until(process, text):
    data = b""
    while text not in data:
        piece = os.read(process.stdout.fileno(), 1 << 16)
        assert piece, data
        data += piece


# ---- kept as it happens ----


def test_question_and_answer_are_kept(home):
    home.configure(ECHO)
    assert home.run("ask", "What", "is tea?", stdin=b"and coffee").code == 0
    said = "What is tea?\n\nand coffee"
    assert messages(home) == [("user", said, "complete"), ("assistant", said, "complete")]
    [info] = sessions(home)
    assert (info["title"], info["backend"], info["turns"]) == ("What is tea?", "m", 1)
    assert info["usage"]["output_tokens"] > 0


def test_each_question_begins_a_session_of_its_own(home):
    home.configure(ECHO)
    for word in ("one", "two"):
        home.run("ask", word)
    assert [info["title"] for info in sessions(home)] == ["two", "one"]


def test_a_failure_is_kept_with_its_reason_and_the_exit_code_stays(home):
    home.configure(FAILING)
    assert home.run("ask", "-b", "f", "hi").code == 6
    assert messages(home) == [("user", "hi", "complete"), ("assistant", "", "error")]
    assert "No quota left" in home.run("sessions", "show").out


def test_r47_what_came_before_kill_9_is_kept_also_the_last_piece_before_a_silence(home):
    with Loopback([*PIECES, Stall()]) as server:
        home.serve(server.url)
        with home.start("ask", "How are you?") as process:
            read_until(process, b"Good da")
            wait_until(lambda: (home.path / "arawn.db").exists() and "Good da" in last_text(home))
            process.kill()
        assert process.returncode == -signal.SIGKILL
        assert messages(home) == [("user", "How are you?", "complete"), ("assistant", "Good da", "partial")]


def last_text(home):
    with closing(sqlite3.connect(home.path / "arawn.db")) as connection:
        return connection.execute("SELECT text FROM messages ORDER BY id DESC LIMIT 1").fetchone()[0]


def test_r47_the_question_is_kept_before_the_backend_answers(home):
    with Loopback([Stall()]) as server:
        home.serve(server.url)
        with home.start("ask", "precious words") as process:
            wait_until(lambda: server.requests)
            process.kill()
        assert messages(home) == [("user", "precious words", "complete")]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_r51_a_signal_keeps_the_partial_answer(home, signum):
    with Loopback([*PIECES, Stall()]) as server:
        home.serve(server.url)
        with home.start("ask", "hi") as process:
            read_until(process, b"Good da")
            process.send_signal(signum)
            told = process.communicate(timeout=20)[1]
        assert (process.returncode, told) == (-signum, b"")
    assert messages(home) == [("user", "hi", "complete"), ("assistant", "Good da", "partial")]


def test_r51_a_reader_who_leaves_keeps_the_partial_answer(home):
    script = [head(headers=CHUNKED), chunked(*[delta("word\n")] * 3, end=False), Pause(3), *[chunked(delta("more"))]]
    with Loopback([*script, Stall()]) as server:
        home.serve(server.url)
        with home.start("ask", "hi") as process:
            read_until(process, b"word\n")
            process.stdout.close()
            process.wait(20)
    assert process.returncode == -signal.SIGPIPE
    [_, (_, text, status)] = messages(home)
    assert (text.startswith("word\nword\n"), status) == (True, "partial")


def test_r27_an_answer_that_broke_off_is_kept_as_incomplete(home):
    with Loopback(streamed(delta("Half a sen"))) as server:
        home.serve(server.url)
        assert home.run("ask", "hi").code == 10
    assert messages(home)[1] == ("assistant", "Half a sen", "incomplete")


# ---- not kept ----


@pytest.mark.parametrize("option", ["--no-save", "--private"])
def test_no_save_leaves_no_word_of_what_was_said(home, option):
    home.configure(ECHO)
    run = home.run("ask", option, "precious words")
    assert (run.code, run.out, run.err) == (0, "precious words\n", "")
    assert not home.holds("precious")
    assert sessions(home) == []


def test_the_configuration_can_keep_nothing(home):
    home.configure("[sessions]\nsave = false\n" + ECHO)
    assert home.run("ask", "precious words").code == 0
    assert not home.holds("precious")
    assert sessions(home) == []


def test_a_dry_run_keeps_nothing_but_shows_what_would_be_sent_again(home):
    with Loopback(streamed(*STREAM)) as server:
        home.serve(server.url)
        home.run("ask", "one")
        run = home.run("ask", "-c", "--system", "Be brief.", "two", "--dry-run")
    assert run.code == 0, run
    assert all(f'"{text}"' in run.out for text in ("Be brief.", "one", "Good day", "two"))
    assert len(messages(home)) == 2
    assert json.loads(home.run("sessions", "show", "--json").out)["session"]["system"] == ""


# ---- what cannot be kept ----


def unwritable(home):
    """A home whose store another program holds read-only for this process: writing to it fails."""
    home.configure(ECHO)
    assert home.run("ask", "before").code == 0
    return {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))}


def test_r48_an_answer_that_cannot_be_kept_is_printed_and_exits_11(home):
    run = home.run("ask", "precious", **unwritable(home))
    assert (run.code, run.out) == (11, "precious\n")
    assert run.err.startswith("what this call took is not in the ledger: cannot ")
    assert "\nError: answer not saved: cannot " in run.err
    assert [info["title"] for info in sessions(home)] == ["before"]


def test_r48_json_says_so_too(home):
    run = home.run("ask", "precious", "--json", **unwritable(home))
    found = json.loads(run.out)
    assert (run.code, found["exit_code"], found["text"]) == (11, 11, "precious")
    assert found["error"]["kind"] == "not_saved"


def test_r48_a_damaged_store_is_left_as_it_is_and_the_answer_comes(home):
    home.configure(ECHO)
    store = home.path / "arawn.db"
    store.write_bytes(b"this is no database, but somebody may need it" * 50)
    store.chmod(0o600)
    run = home.run("ask", "hi", "-o", "answer.txt")
    assert (run.code, run.out) == (11, "")
    assert "answer not saved" in run.err
    assert (home.work / "answer.txt").read_text() == "hi\n"
    assert store.read_bytes().startswith(b"this is no database")


def test_r48_the_answers_own_failure_decides_the_exit_code(home):
    limits = unwritable(home)
    home.configure(FAILING)
    run = home.run("ask", "-b", "f", "hi", **limits)
    assert run.code == 6
    assert "Warning: answer not saved: cannot " in run.err


def test_a_conversation_that_cannot_be_read_cannot_go_on(home):
    home.configure(ECHO)
    (home.path / "arawn.db").write_bytes(b"no database" * 100)
    (home.path / "arawn.db").chmod(0o600)
    run = home.run("ask", "-c", "hi")
    assert (run.code, run.out) == (3, "")
    assert "arawn.db.damaged" in run.err


# ---- going on ----


def test_continue_sends_the_earlier_turns_again(home):
    with Loopback(streamed(*STREAM)) as server:
        home.serve(server.url)
        home.run("ask", "one", "--system", "Be brief.")
        run = home.run("ask", "-c", "two")
    assert run.out == "Good day\n"
    assert sent(server) == [
        ("system", "Be brief."),
        ("user", "one"),
        ("assistant", "Good day"),
        ("user", "two"),
    ]
    assert [info["turns"] for info in sessions(home)] == [2]


def test_a_named_session_is_begun_and_then_gone_on_with_also_by_its_id(home):
    with Loopback(streamed(*STREAM)) as server:
        home.serve(server.url)
        home.run("ask", "-s", "tea", "one")
        home.run("ask", "something else")
        home.run("ask", "-s", "tea", "two")
        [other, tea] = sorted(sessions(home), key=lambda info: info["name"])
        home.run("ask", "-s", tea["id"][:5], "three")
        assert [text for _, text in sent(server)] == ["one", "Good day", "two", "Good day", "three"]
    assert (tea["name"], other["name"]) == ("tea", "")
    assert len(messages(home, "tea")) == 6


def test_it_goes_on_with_the_backend_and_model_that_were_asked(home):
    with Loopback(streamed(*STREAM)) as server:
        home.serve(server.url)
        config = (home.path / "config.toml").read_text()
        home.configure(config.replace('"here"', '"m"', 1) + ECHO.partition("\n")[2].partition("\n")[2])
        home.run("ask", "-b", "here", "-m", "special", "one")
        home.run("ask", "-c", "two")
        assert json.loads(server.requests[-1].body)["model"] == "special"
        home.run("ask", "-c", "-m", "other", "three")
        assert json.loads(server.requests[-1].body)["model"] == "other"
        assert home.run("ask", "-c", "-b", "m", "four").out == "four\n"
        assert home.run("ask", "-c", "-m", "m/x", "five").out == "five\n"
        assert len(server.requests) == 3


def test_what_went_unanswered_is_not_sent_again(home):
    with Loopback([head(500, headers={"Content-Length": "0"})], streamed(*STREAM)) as server:
        home.serve(server.url)
        assert home.run("ask", "one").code == 7
        assert home.run("ask", "-c", "two").code == 0
    assert sent(server) == [("user", "two")]


def test_a_private_question_may_go_on_and_is_not_kept(home):
    with Loopback(streamed(*STREAM)) as server:
        home.serve(server.url)
        home.run("ask", "one")
        home.run("ask", "-c", "--private", "two")
    assert [text for _, text in sent(server)] == ["one", "Good day", "two"]
    assert len(messages(home)) == 2


@pytest.mark.parametrize("words", [["-c"], ["-s", "tea", "--no-save"], ["-s", "last"], ["-s", "-x"], ["-s", "x" * 61]])
def test_what_cannot_go_on_is_a_usage_error_and_nothing_is_sent(home, words):
    home.configure(ECHO)
    run = home.run("ask", *words, "hi")
    assert (run.code, run.out) == (2, "")
    assert run.err.startswith("Error: ")


# ---- many, and private ----


def test_r46_64_first_questions_at_once_are_all_answered_and_kept(home):
    home.configure(ECHO)
    started = [home.start("ask", f"question {number}") for number in range(64)]
    ended = [(process.communicate(timeout=50), process.returncode) for process in started]
    assert [code for _, code in ended] == [0] * 64, ended
    assert {told for (_, told), _ in ended} == {b""}
    kept = {info["title"]: info["last_text"] for info in sessions(home)}
    assert kept == {f"question {number}": f"question {number}" for number in range(64)}
    with closing(sqlite3.connect(home.path / "arawn.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_r46_two_who_ask_in_one_session_at_once_both_have_their_turn(home):
    home.configure(ECHO)
    home.run("ask", "-s", "shared", "first")
    started = [home.start("ask", "-s", "shared", f"turn {number}") for number in range(8)]
    assert [process.wait(50) for process in started] == [0] * 8
    for process in started:
        process.communicate()
    asked = {text for role, text, _ in messages(home, "shared") if role == "user"}
    assert asked == {"first", *(f"turn {number}" for number in range(8))}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_r15_nothing_of_the_store_can_be_read_by_others(home, umask):
    with Loopback([*PIECES, Stall()]) as server:
        home.serve(server.url)
        fresh = str(home.path / "deep" / "er")
        os.makedirs(fresh, 0o700)
        config = ["--config", str(home.path / "config.toml")]
        where = {"ARAWN_HOME": str(home.path / "deep" / "er" / "new")}
        with home.start("ask", "hi", *config, env=where, umask=umask) as process:
            read_until(process, b"Good da")
            found = [os.path.join(folder, name) for folder, _, names in os.walk(fresh) for name in (".", *names)]
            modes = {path: oct(os.stat(path).st_mode & 0o077) for path in found}
            process.kill()
    assert {os.path.basename(path) for path in found} >= {"arawn.db", "arawn.db-wal"}
    assert {path: mode for path, mode in modes.items() if mode != "0o0"} == {}


def test_a_store_that_others_could_read_is_repaired_with_a_word(home):
    home.configure(ECHO)
    home.run("ask", "one")
    (home.path / "arawn.db").chmod(0o644)
    run = home.run("ask", "two")
    assert (run.code, run.out) == (0, "two\n")
    assert "could be read by others" in run.err
    assert (home.path / "arawn.db").stat().st_mode & 0o777 == 0o600


def test_an_answer_streams_on_while_another_process_holds_the_store(home):
    with Loopback([Pause(0.3), *PIECES, Pause(0.2), chunked(delta("y"), delta(finish_reason="stop"), DONE)]) as server:
        home.serve(server.url)
        assert home.run("ask", "before").code == 0
        with home.start("ask", "hi") as process:
            wait_until(lambda: len(server.requests) == 2)
            holder = sqlite3.connect(home.path / "arawn.db", isolation_level=None)
            holder.execute("BEGIN IMMEDIATE")
            read_until(process, b"Good ")
            holder.execute("ROLLBACK")
            holder.close()
            assert process.wait(20) == 0
            process.stdout.read()
    assert messages(home)[1] == ("assistant", "Good day", "complete")
