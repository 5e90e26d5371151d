"""What comes beside the text of an answer: sources, pictures, results of tools at the provider, why it ended."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest
from support.chat_terminal import PROMPT, ChatTerminal
from support.http_backend import DONE, event, streamed
from support.loopback import Loopback
from support.terminal_output import UNSAFE, on_terminal, text_of

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(40))
JPEG = b"\xff\xd8\xff\xe0" + bytes(20)


def chunk(finish=None, **delta):
    return event(id="a1", model="m-1", choices=[{"index": 0, "delta": delta, "finish_reason": finish}])


def picture(data=PNG, kind="image/png"):
    return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{b64encode(data).decode()}"}}


def cited(title, url):
    return {"type": "url_citation", "url_citation": {"title": title, "url": url, "content": "said there"}}


def answer(*deltas, finish="stop"):
    return streamed(*(chunk(**delta) for delta in deltas), chunk(finish), DONE)


PICTURES = answer({"content": "Here."}, {"images": [picture(), picture(JPEG, "image/jpeg")]})
SOURCES = answer(
    {"content": "It is [1] and [2]."},
    {"annotations": [cited("First", "https://a.example/1"), cited("Second", "https://b.example/2")]},
    {"annotations": [cited("First", "https://a.example/1")]},
)


def test_with_o_pictures_go_beside_the_text_and_json_says_where(home):
    with Loopback(PICTURES) as server:
        home.serve(server.url)
        run = home.run("ask", "-o", "out.txt", "draw")
        named = home.run("ask", "--json", "-o", "named", "draw")

    assert (run.code, run.out) == (0, "")
    assert (home.work / "out.txt").read_text() == "Here.\n"
    assert (home.work / "out-1.png").read_bytes() == PNG
    assert (home.work / "out-2.jpg").read_bytes() == JPEG
    assert "a picture is in out-1.png" in run.err
    assert named.code == 0
    assert json.loads((home.work / "named").read_text())["images"] == [
        {"type": "image/png", "bytes": len(PNG), "path": "named-1.png", "url": None},
        {"type": "image/jpeg", "bytes": len(JPEG), "path": "named-2.jpg", "url": None},
    ]


def test_a_picture_never_replaces_a_file_that_is_there(home):
    (home.work / "out-1.png").write_bytes(b"mine")
    with Loopback(PICTURES) as server:
        home.serve(server.url)
        home.run("ask", "-o", "out.txt", "draw")
        home.run("ask", "-o", "out.txt", "draw")

    assert (home.work / "out-1.png").read_bytes() == b"mine"
    assert sorted(path.name for path in home.work.iterdir()) == [
        "out-1.png",
        "out-2.png",
        "out-3.jpg",
        "out-3.png",
        "out-4.jpg",
        "out.txt",
    ]


@pytest.mark.parametrize("where", [(), ("-o", "/dev/null")])
def test_without_a_file_a_picture_is_announced_and_nothing_is_written(home, where):
    with Loopback(PICTURES) as server:
        home.serve(server.url)
        run = home.run("ask", *where, "draw")

    assert run.out == ("" if where else "Here.\n")
    assert f"the answer has a picture (image/png, {len(PNG)} bytes)" in run.err
    assert ("-o FILE" in run.err) is not where
    assert list(home.work.iterdir()) == []


def test_a_picture_that_cannot_be_written_is_exit_11_and_the_text_stays(home):
    (home.work / "sub").mkdir()
    with Loopback(PICTURES) as server:
        home.serve(server.url)
        run = home.run("ask", "-o", f"sub/{'x' * 250}.txt", "draw")

    assert run.code == 11
    assert "cannot write" in run.err


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:image/png;base64,%%%", "data:text/html;base64,AAAA"])
def test_what_is_no_picture_is_said_in_a_line_and_does_no_harm(home, url):
    with Loopback(answer({"content": "x", "images": [{"image_url": {"url": url}}]})) as server:
        home.serve(server.url)
        run = home.run("ask", "-o", "out.txt", "draw")

    assert (run.code, [path.name for path in home.work.iterdir()]) == (0, ["out.txt"])
    assert "a picture of the answer is left out" in run.err


def test_json_and_json_lines_have_the_sources(home):
    with Loopback(SOURCES) as server:
        home.serve(server.url)
        whole = json.loads(home.run("ask", "--json", "x").out)
        lines = [json.loads(line) for line in home.run("ask", "--jsonl", "x").out.splitlines()]

    wanted = [
        {"index": 1, "title": "First", "url": "https://a.example/1", "text": "said there"},
        {"index": 2, "title": "Second", "url": "https://b.example/2", "text": "said there"},
    ]
    assert whole["citations"] == wanted
    assert [line for line in lines if line["type"] == "citation"] == [
        {"v": 1, "type": "citation", **citation} for citation in wanted
    ]


def test_json_lines_have_pictures_at_the_end_and_tools_as_they_ran(home):
    ran = {"index": 0, "type": "python", "output": "4"}
    with Loopback(answer({"executed_tools": [ran]}, {"content": "x", "images": [picture()]})) as server:
        home.serve(server.url)
        lines = [json.loads(line) for line in home.run("ask", "--jsonl", "x").out.splitlines()]

    assert {"v": 1, "type": "server_tool", "name": "python", "text": "4"} in lines
    image = {"type": "image", "media_type": "image/png", "bytes": len(PNG), "path": None, "url": None}
    assert {"v": 1, **image} in lines
    assert lines[-1]["type"] == "end"


@pytest.mark.parametrize("flags", [(), ("--plain",), ("--no-stream",)])
def test_a_terminal_shows_numbered_sources_under_the_answer_and_a_pipe_only_the_text(home, flags):
    with Loopback(SOURCES) as server:
        home.serve(server.url)
        status, sent = on_terminal(home, "ask", "-q", *flags, "x", environ={"NO_COLOR": "1"})
        piped = home.run("ask", "-q", *flags, "x")

    shown = [line.strip() for line in text_of(sent).splitlines() if line.strip()]
    assert status == 0
    assert shown[-3:] == ["It is [1] and [2].", "[1] First https://a.example/1", "[2] Second https://b.example/2"]
    assert piped.out == "It is [1] and [2].\n"


def test_titles_and_addresses_cannot_command_the_terminal(home):
    hostile = cited("T\x1b]52;c;cm0=\x07\n\u202eevil", "https://a.example/\x1b[2J\r\x9b1m")
    with Loopback(answer({"content": "x"}, {"annotations": [hostile]})) as server:
        home.serve(server.url)
        _, sent = on_terminal(home, "ask", "-q", "--plain", "x", environ={"NO_COLOR": "1"})

    assert "https://a.example/" in text_of(sent)
    assert not UNSAFE.search(text_of(sent).replace("\n", ""))


def test_a_chat_shows_sources_and_pictures_keeps_both_and_saves_them(home):
    said = answer({"content": "Here."}, {"annotations": [cited("First", "https://a.example/1")], "images": [picture()]})
    with Loopback(said) as server:
        home.serve(server.url)
        with ChatTerminal(home) as person:
            person.wait_for(PROMPT)
            person.send_line("draw")
            person.wait_for("[1] First https://a.example/1")
            person.wait_for("here/m-1 ·", times=1)
            assert f"[a picture: image/png, {len(PNG)} bytes; /save FILE writes it beside the text]" in person.shown
            person.wait_for(PROMPT, times=2)
            person.send_line("/save note.txt")
            person.wait_for("wrote note-1.png")
        with ChatTerminal(home, "-c") as person:
            person.wait_for("[1] First https://a.example/1")
        page = home.run("sessions", "export", "--format", "html")

    assert (home.work / "note-1.png").read_bytes() == PNG
    assert b64encode(PNG).decode() in page.out
    assert "[1] First https://a.example/1" in page.out


def test_a_kept_conversation_sends_a_signature_back_and_the_cache_keeps_it(home):
    signature = {"google": {"thought_signature": "Ep=="}}
    said = answer({"content": "Hi", "extra_content": signature}, {"annotations": [cited("First", "https://a.example")]})
    with Loopback(said) as server:
        home.serve(server.url)
        first = home.run("ask", "--cache", "--json", "-s", "kept", "hello")
        cached = home.run("ask", "--cache", "--json", "-s", "other", "hello")
        home.run("ask", "-s", "other", "go on")
        sent = json.loads(server.requests[-1].body)["messages"]

    assert len(server.requests) == 2
    assert json.loads(cached.out)["citations"] == json.loads(first.out)["citations"] != []
    assert sent[1] == {"role": "assistant", "content": "Hi", "extra_content": signature}


@pytest.mark.parametrize(
    ("finish", "words"),
    [
        ("function_call_filter: MALFORMED_FUNCTION_CALL", "MALFORMED_FUNCTION_CALL"),
        ("", "did not say why"),
        ("eos", None),
        ("STOP", None),
    ],
)
def test_an_unusual_end_is_named_and_a_natural_one_is_not(home, finish, words):
    with Loopback(answer({"content": "x"}, finish=finish)) as server:
        home.serve(server.url)
        run = home.run("ask", "x")

    assert run.code == 0
    assert run.err == "" if words is None else words in run.err


def test_the_reason_of_a_refusal_is_shown_and_is_in_the_json(home):
    details = {"type": "refusal", "explanation": "declined\x1b[2J by policy"}
    body = {
        "type": "message",
        "id": "m",
        "model": "m-1",
        "content": [],
        "stop_reason": "refusal",
        "stop_details": details,
    }
    usage = {"usage": {"input_tokens": 1, "output_tokens": 1}}
    reply = streamed(json.dumps(body | usage).encode(), content_type="application/json")
    with Loopback(reply) as server:
        home.configure(
            f'[llm]\nbackend = "a"\n[backends.a]\nadapter = "anthropic"\nbase_url = "{server.url}"\nmodel = "m-1"\n'
        )
        run = home.run("ask", "x")
        found = json.loads(home.run("ask", "--json", "x").out)

    assert "the model refused to answer: declined␛[2J by policy (finish reason: refusal)" in run.err
    assert found["finish_detail"] == details["explanation"]
