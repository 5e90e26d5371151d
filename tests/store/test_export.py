from __future__ import annotations

import json
import re
from decimal import Decimal
from html.parser import HTMLParser
from types import MappingProxyType

import pytest

from arawn.messages import (
    Image,
    Message,
    ProviderItem,
    Reasoning,
    Refusal,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Usage,
)
from arawn.store.export import to_html, to_json, to_markdown
from arawn.store.message_json import message_from_json
from arawn.store.records import Entry, SessionInfo, Transcript

EVIL = "</pre><script>alert(1)</script><img src=//evil.example/x onerror=a> \" ' & \x1b[31m \x00 \ud800"
PNG = b"\x89PNG\r\n\x1a\n"


def transcript(*entries, title="Tea"):
    info = SessionInfo(
        id="7f3a0011",
        name="",
        title=title,
        created=0.0,
        updated=60.0,
        backend="mock",
        model="mock-1",
        system="",
        parent=None,
        branched_at=None,
        summary="",
        summarised=0,
        usage=Usage(1000, 200),
        cost=Decimal("0.0000012"),
    )
    return Transcript(info, entries)


def entry(role, *parts, **fields):
    return Entry(**{"message": Message(role, parts), "turn": 1, "written": 90.0, "model": "mock-1", **fields})


EVERYTHING = (
    entry(Role.USER, Text("What is this?"), Image(PNG, "image/png"), Image(url="https://img.example/a.png")),
    entry(Role.ASSISTANT, Reasoning("It may be\ntea."), Reasoning(item={"x": 1}), Text("**Tea**"), position=1),
    entry(Role.ASSISTANT, ToolCall("1", "look", '{"at": "cup"}'), ProviderItem({"type": "web_search"}), position=2),
    entry(Role.TOOL, ToolResult("1", (Text("A cup."), Image(PNG, "image/png")), "look"), position=3),
    entry(Role.ASSISTANT, Refusal("I will not say."), position=4, status="partial"),
)


class Page(HTMLParser):
    """What a page has: its tags with their attributes, and its text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_json_holds_everything_and_can_be_read_back():
    item = ProviderItem(MappingProxyType({"type": "x"}), "mock")
    whole = transcript(*EVERYTHING, entry(Role.ASSISTANT, item, Text(EVIL), usage=Usage(1, cost=Decimal("0.1"))))

    written = json.loads(to_json(whole))

    assert [message_from_json(each["message"]) for each in written["messages"]] == [
        each.message for each in whole.entries
    ]
    assert (written["v"], written["session"]["id"], written["session"]["cost"]) == (1, "7f3a0011", "0.0000012")
    assert written["messages"][-1]["usage"]["cost"] == "0.1"
    assert written["messages"][-2]["status"] == "partial"


def test_markdown_says_who_said_what_and_when():
    assert to_markdown(transcript(*EVERYTHING)) == (
        "# Tea\n\n*1970-01-01 00:00 UTC, mock/mock-1, 1,200 tokens, $0.0000012*\n\n"
        "## You, 1970-01-01 00:01 UTC\n\nWhat is this?\n\n"
        "    [image: image/png, 8 bytes]\n\n    [image: https://img.example/a.png]\n\n"
        "## Assistant (mock-1), 1970-01-01 00:01 UTC\n\n> It may be\n> tea.\n\n> [hidden reasoning]\n\n**Tea**\n\n"
        '## Assistant (mock-1), 1970-01-01 00:01 UTC\n\n    [call: look({"at": "cup"})]\n\n'
        "    [web_search of the provider]\n\n"
        "## Tool, 1970-01-01 00:01 UTC\n\n    [result of look]\n    A cup.\n    [image: image/png, 8 bytes]\n\n"
        "## Assistant (mock-1), 1970-01-01 00:01 UTC\n\nI will not say.\n\n*[stopped here]*\n"
    )


def test_a_page_shows_the_words_and_has_the_pictures_in_it():
    page = Page(to_html(transcript(*EVERYTHING)))

    for words in (
        "What is this?",
        "It may be\ntea.",
        "**Tea**",
        "look({",
        "A cup.",
        "I will not say.",
        "[stopped here]",
    ):
        assert words in page.text
    assert [attrs["src"] for tag, attrs in page.tags if tag == "img"] == ["data:image/png;base64,iVBORw0KGgo="] * 2


@pytest.mark.parametrize(
    "hostile",
    [
        entry(Role.USER, Text(EVIL)),
        entry(Role.ASSISTANT, Reasoning(EVIL), Refusal(EVIL), model=EVIL),
        entry(Role.ASSISTANT, ToolCall(EVIL, EVIL, EVIL), ProviderItem({"type": EVIL})),
        entry(Role.TOOL, ToolResult(EVIL, (Text(EVIL), Image(PNG, EVIL, EVIL)), EVIL)),
        entry(Role.USER, Image(PNG, EVIL), Image(PNG, "image/svg+xml"), Image(url=EVIL)),
    ],
)
def test_nothing_said_becomes_markup_loads_anything_or_runs(hostile):
    html = to_html(transcript(hostile, title=EVIL))

    page = Page(html)
    tags = {tag for tag, _ in page.tags}
    assert tags <= {"html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "small", "section", "pre", "img"}
    assert all(attrs["src"].startswith("data:image/png;base64,") for tag, attrs in page.tags if tag == "img")
    assert not any(name.startswith("on") or name in ("href", "style") for _, attrs in page.tags for name in attrs)
    policy = next(attrs["content"] for _, attrs in page.tags if "http-equiv" in attrs)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", html)
    assert html.encode()


def test_a_page_names_the_tool_that_said_something():
    said = entry(Role.TOOL, ToolResult("1", (Text("A cup."), Text("Or two.")), "look"))

    assert "[result of look]\nA cup.\nOr two." in Page(to_html(transcript(said))).text


def test_an_answer_that_failed_says_why():
    failed = Message(Role.ASSISTANT, (), {"partial": "rate_limit", "error": "Too fast\nby far"})
    whole = transcript(entry(Role.USER, Text("hello")), entry(Role.ASSISTANT, message=failed, status="error"))

    assert to_markdown(whole).endswith("*[no answer: Too fast by far]*\n")
    assert "[no answer: Too fast by far]" in Page(to_html(whole)).text


def test_text_that_no_file_can_hold_is_replaced():
    assert "a?b" in to_markdown(transcript(entry(Role.USER, Text("a\ud800b"))))


def test_an_unknown_cost_is_not_shown():
    whole = transcript()
    free = Transcript(whole.info.__replace__(cost=None), ())

    assert to_markdown(free) == "# Tea\n\n*1970-01-01 00:00 UTC, mock/mock-1, 1,200 tokens*\n"
