"""What reaches a terminal: text, line ends and tabs; whatever a model, a server or a file tries to do to it."""

from __future__ import annotations

import json
import re
import signal
import unicodedata

import pexpect
import pyte
import pytest
from support.http_backend import DONE, delta, streamed
from support.loopback import CHUNKED, Loopback, Stall, answer, chunked, head
from support.optional_data import folder_of
from support.processes import ARAWN
from support.terminal_output import UNSAFE, on_terminal, text_of

HOSTILE = {
    "OSC 52 clipboard": "\x1b]52;c;cm0gLXJmIC8K\x07",
    "OSC 8 link": "\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "OSC 0 title": "\x1b]0;owned\x07",
    "CSI erase": "\x1b[2J\x1b[H",
    "CSI colour": "\x1b[31;5mred\x1b[0m",
    "CSI report": "\x1b[6n\x1b[c",
    "CSI modes": "\x1b[?1049h\x1b[?25l\x1b[?2004h",
    "C1 CSI": "\x9b2J",
    "C1 OSC": "\x9d0;owned\x9c",
    "C1 NEL": "a\x85b",
    "DCS": "\x1bP+q544e\x1b\\",
    "APC": "\x1b_Gf=100;AAAA\x1b\\",
    "PM and SOS": "\x1b^x\x1b\\\x1bXy\x1b\\",
    "reset": "\x1bc",
    "carriage return": "rm -rf /\rls -l   ",
    "backspace": "abc\b\b\bxyz",
    "bell, VT, FF, DEL, NUL": "\a\v\f\x7f\0",
    "bidi": "\u202eevil\u202c\u2066\u2069\u200f\u061c",
    "tags": "\U000e0041\U000e0042\U000e007f",
}
SAFE = "\tplain, é, 漢字, 👩\u200d👩\u200d👧, e\u0301, a\u200bb\n"


def without_colour(text):
    """Take out the colours of our own messages."""
    return re.sub(r"\x1b\[(?:0|2|1;31|33|32|1)m", "", text)


def screen_of(sent):
    """What a person sees."""
    screen = pyte.Screen(80, 50)
    pyte.ByteStream(screen).feed(sent)
    return "\n".join(line.rstrip() for line in screen.display).strip()


def is_harmless(text):
    return not UNSAFE.search(text)


def without_our_own(sent):
    """Take out what the renderer itself writes: colours, and moves within the lines it may still change."""
    return re.sub("\x1b\\[(?:[0-9;]*m|[0-9]*[ABCDJK]|\\?(?:2026|25)[hl])|\r", "", text_of(sent))


@pytest.mark.parametrize("cut", ["whole", "character by character"])
def test_r1_no_class_of_hostile_text_reaches_the_terminal_however_it_is_cut(home, cut):
    text = "".join(f"{name}: {payload}\n" for name, payload in HOSTILE.items()) + SAFE
    deltas = [delta(text)] if cut == "whole" else [delta(character) for character in text]
    with Loopback([head(headers=CHUNKED), chunked(*deltas, delta(finish_reason="stop"), DONE)]) as server:
        home.serve(server.url)
        status, sent = on_terminal(home, "ask", "hi", "--plain")
        painted_status, painted = on_terminal(home, "ask", "hi")
    shown = text_of(sent)
    assert (status, painted_status) == (0, 0)
    assert is_harmless(without_our_own(painted))
    assert "rm -rf /␍ls -l" in screen_of(painted)
    assert is_harmless(shown)
    assert shown.endswith(SAFE)
    assert all(f"{name}: " in shown for name in HOSTILE)
    assert "OSC 52 clipboard: ␛]52;c;cm0gLXJmIC8K␇\n" in shown
    assert "C1 CSI: <U+009B>2J\n" in shown
    assert "carriage return: rm -rf /␍ls -l   \n" in shown
    assert "rm -rf /␍ls -l" in screen_of(sent)


def test_r1_no_naughty_string_does_more_than_be_read(home):
    strings = json.loads((folder_of("ARAWN_CORPORA") / "blns.json").read_text(encoding="utf-8"))
    text = "\n".join(strings)
    pieces = [text[at : at + 5] for at in range(0, len(text), 5)]
    with Loopback(streamed(*map(delta, pieces), delta(finish_reason="stop"), DONE)) as server:
        home.serve(server.url)
        status, sent = on_terminal(home, "ask", "hi", "--plain")
        painted_status, painted = on_terminal(home, "ask", "hi")
    assert (status, painted_status) == (0, 0)
    assert is_harmless(without_our_own(painted))
    assert is_harmless(text_of(sent))
    assert UNSAFE.sub("", text) == re.sub("[\u2400-\u2421]|<U\\+[0-9A-F]{4,6}>", "", text_of(sent)).removesuffix("\n")


def test_an_answer_is_laid_out_at_a_terminal_and_left_alone_in_a_pipe(home):
    text = "It is **very** `small`.\n\n```python\nprint(1)\n```\n"
    with Loopback(streamed(*map(delta, text), delta(finish_reason="stop"), DONE)) as server:
        home.serve(server.url)
        status, sent = on_terminal(home, "ask", "hi")
        colourless = on_terminal(home, "ask", "hi", environ={"NO_COLOR": "1"})[1]
        piped = home.run("ask", "hi")
    assert status == 0
    assert screen_of(sent).startswith("It is very `small`.")
    assert "\nprint(1)\n" in screen_of(sent)
    assert b"\x1b[1m" in sent
    assert not re.search(rb"\x1b\[[0-9;]*m", colourless)
    assert piped.out == text


def test_r2_raw_gives_the_terminal_what_the_model_said(home):
    with Loopback(streamed(delta(HOSTILE["CSI colour"]), delta(finish_reason="stop"), DONE)) as server:
        home.serve(server.url)
        _, sent = on_terminal(home, "ask", "hi", "--raw")
    assert sent == b"\x1b[31;5mred\x1b[0m\r\n"


@pytest.mark.parametrize("shape", ["--json", "--jsonl"])
def test_r1_json_at_a_terminal_is_harmless_and_still_the_same_json(home, shape):
    text = "".join(HOSTILE.values()) + SAFE
    with Loopback(streamed(delta(text), delta(finish_reason="stop"), DONE)) as server:
        home.serve(server.url)
        status, sent = on_terminal(home, "ask", "hi", shape)
    shown = text_of(sent)
    assert status == 0
    assert is_harmless(shown)
    assert text in [json.loads(line).get("text") for line in shown.splitlines()]


def test_r1_a_dry_run_shows_what_a_file_holds_without_obeying_it(home):
    (home.work / "evil.txt").write_text("".join(HOSTILE.values()).replace("\0", ""))
    home.serve("http://127.0.0.1:9")
    status, sent = on_terminal(home, "ask", "-f", "evil.txt", "--dry-run")
    assert status == 0
    assert is_harmless(text_of(sent))


def test_r1_a_server_s_error_is_harmless_and_on_one_line(home):
    words = "[/foo] [link=x]y[/link] " + "".join(HOSTILE.values())
    body = json.dumps({"error": {"message": words}}).encode()
    with Loopback([answer(body, 400)]) as server:
        home.serve(server.url)
        status, sent = on_terminal(home, "ask", "hi")
    shown = without_colour(text_of(sent))
    assert status == 8
    assert is_harmless(shown)
    assert shown.startswith('Error: Backend "here" refused the request (HTTP 400): [/foo] [link=x]y[/link] ')


def test_r5_markup_in_names_and_models_is_shown_as_it_is(home):
    cards = [{"id": name} for name in ("[/foo]", "[bold]x[/bold]", "[link=https://e.example]y[/link]", "\x1b[2J\x9b")]
    with Loopback([answer(json.dumps({"data": cards}).encode())]) as server:
        home.configure(
            f'[llm]\nbackend = "[/x]"\n[backends."[/x]"]\nadapter = "openai_chat"\nbase_url = "{server.url}"\n'
            'label = "[red]"\nmodel = "[/m]\\u001b[2J"\n'
        )
        status, sent = on_terminal(home, "models")
        assert status == 0
        assert is_harmless(without_colour(text_of(sent)))
        assert "[link=https://e.example]y[/link]" in text_of(sent)
        for words in (("backends",), ("config", "show"), ("config", "show", "--origin"), ("doctor",)):
            status, sent = on_terminal(home, *words)
            assert status == 0, words
            assert "[/x]" in screen_of(sent), words
            assert b"\x1b[2J" not in sent, words
            assert "\x9b" not in text_of(sent), words


def test_r1_a_hostile_project_file_is_named_harmlessly(home):
    (home.work / ".arawn.toml").write_text(
        '"\\u001b]0;owned\\u0007" = 1\n[backends."\\u202ex"]\nbase_url = "http://e.example"\n'
    )
    home.configure('[llm]\nbackend = "mock"\n')
    status, sent = on_terminal(home, "ask", "hi")
    shown = without_colour(text_of(sent))
    assert status == 0
    assert is_harmless(shown)
    assert shown.startswith("Warning: ")


def test_r1_trusting_a_project_file_shows_it_without_obeying_it(home):
    (home.work / ".arawn.toml").write_text("# " + "".join(HOSTILE.values()).replace("\0", ""), encoding="utf-8")
    status, sent = on_terminal(home, "config", "trust")
    assert status == 0
    assert is_harmless(without_colour(text_of(sent)))


def test_r51_ctrl_c_while_backends_are_checked_gives_the_cursor_back(home):
    with Loopback([Stall()]) as server:
        home.serve(server.url)
        environ = {**home.environ, "TERM": "xterm-256color"}
        child = pexpect.spawn(ARAWN[0], [*ARAWN[1:], "backends"], env=environ, cwd=str(home.work), timeout=30)
        child.expect_exact("\x1b[?25l")
        child.sendintr()
        child.expect(pexpect.EOF)
        child.close()
    assert child.signalstatus == signal.SIGINT
    assert b"\x1b[?25h" in child.before
    assert b"Traceback" not in child.before


@pytest.mark.parametrize(
    ("environ", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"NO_COLOR": "", "TERM": "xterm"}, True)],
)
def test_errors_have_colour_only_where_it_is_wanted(home, environ, coloured):
    _, sent = on_terminal(home, "ask", "hi", "-b", "nobody", environ=environ)
    assert sent.startswith(b"\x1b[1;31mError:\x1b[0m " if coloured else b"Error: ")


def test_colour_can_be_forced_into_a_pipe_but_not_into_an_answer(home):
    home.configure('[llm]\nbackend = "mock"\n')
    run = home.run("ask", "hi", env={"FORCE_COLOR": "1"})
    failed = home.run("ask", "hi", "-b", "nobody", env={"FORCE_COLOR": "1"})
    assert run.out == "hi\n"
    assert failed.err.startswith("\x1b[1;31mError:\x1b[0m ")


def test_an_error_in_mid_answer_begins_on_a_line_of_its_own(home):
    with Loopback(streamed(delta("Half a sen"))) as server:
        home.serve(server.url)
        status, sent = on_terminal(home, "ask", "hi", environ={"NO_COLOR": "1"})
    assert status == 10
    assert text_of(sent).startswith("Half a sen\nError: ")


def test_no_question_at_a_terminal_is_a_wrong_use_and_does_not_wait(home):
    status, sent = on_terminal(home, "ask")
    assert status == 2
    assert "nothing to ask" in text_of(sent)


def test_tables_stand_in_columns_also_with_wide_characters(home):
    cards = [{"id": "漢字"}, {"id": "latin"}]
    with Loopback([answer(json.dumps({"data": cards}).encode())]) as server:
        home.serve(server.url, '[models."漢字"]\ncontext_window = 5\n[models.latin]\ncontext_window = 6\n')
        run = home.run("models")
    positions = {column_of(line, number) for line in run.out.splitlines()[1:] for number in "56" if number in line}
    assert len(positions) == 1


def column_of(line, mark):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line[: line.index(mark)])
