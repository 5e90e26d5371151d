"""``arawn usage`` and ``ask --usage``: what people and programs see of what calls took."""

from __future__ import annotations

import csv
import io
import json
import os
import time

import pytest
from support.chat_terminal import ChatTerminal
from support.http_backend import STREAM, streamed
from support.ledger_rows import DEAD, call, timestamp, write_calls, write_session
from support.loopback import Loopback
from support.processes import ARAWN, Home

from arawn.cli.render.lines import width

NOW = time.time()
THIS_MONTH = timestamp(time.strftime("%Y-%m-01", time.gmtime(NOW)))
LAST_MONTH = THIS_MONTH - 5 * 86_400
USED = {"input_tokens": 1_000, "output_tokens": 200}
TITLES = "calls running failed hits in out cached reasoning cost latency first errors"


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def run(home, *words, code=0, **options):
    done = home.run("usage", *words, **options)
    assert done.code == code, done
    return done


def loaded(home, *words):
    return json.loads(run(home, *words, "--json").out)


def cells(line):
    return line.split()


# ---- tables ----


def test_calls_of_this_month_are_shown_by_backend_with_a_line_of_totals(home):
    write_calls(
        home.path,
        call(NOW, usd=0.25, **USED, latency_ms=840, first_token_ms=120, cache_read_tokens=40),
        call(NOW, usd=None, **USED, latency_ms=840, first_token_ms=120),
        call(NOW, usd=None, outcome="rejected", error="rate_limit"),
        call(NOW, outcome="cached"),
        call(NOW, usd=12, backend="openai", **USED, counted="estimated", latency_ms=3_240),
        call(LAST_MONTH, usd=99),
    )
    head, *rows = run(home).out.splitlines()
    assert cells(head) == ["backend", *TITLES.split()]
    assert rows[0].split("  ")[0] == "openai"
    assert cells(rows[0]) == ["openai", "1", "-", "-", "-", "~1k", "~200", "-", "-", "~$12.00", "3.2", "s", "-", "-"]
    groq = ["groq", "3", "-", "1", "1", "2k", "400", "40", "-", "$0.2500", "+", "1", "unknown"]
    assert cells(rows[1]) == [*groq, "840", "ms", "120", "ms", "33%"]
    assert cells(rows[2])[:2] == ["total", "4"]
    assert "~$12.25 + 1 unknown" in rows[2]
    assert len(rows) == 3


def test_since_all_counts_everything(home):
    write_calls(home.path, call(NOW, usd=1), call(LAST_MONTH, usd=99))
    assert loaded(home)["total"]["cost"] == 1
    assert loaded(home, "--since", "all")["total"]["cost"] == 100
    assert loaded(home, "--since", "100d")["total"]["cost"] == 100


@pytest.mark.parametrize(
    ("by", "first"),
    [("model", "groq/llama"), ("day", time.strftime("%Y-%m-%d", time.gmtime(NOW))), ("role", "llm"), ("session", "-")],
)
def test_calls_are_grouped_as_asked(home, by, first):
    write_calls(home.path, call(NOW, usd=1))
    head, row, _ = run(home, "--by", by).out.splitlines()
    assert (cells(head)[0], cells(row)[0]) == (by, first)


def test_a_session_is_shown_with_its_title(home):
    write_calls(home.path, call(NOW, session="7f3a0000", usd=1))
    write_session(home.path, "7f3a0000", "Tea, and\x1b[2J more")
    row = run(home, "--by", "session").out.splitlines()[1]
    assert row.startswith("7f3a0000 ")
    assert row.endswith("Tea, and␛[2J more")


def test_one_backend_or_model_can_be_counted_alone(home):
    write_calls(home.path, call(NOW, usd=1), call(NOW, usd=2, model="qwen"), call(NOW, usd=4, backend="openai"))
    assert loaded(home, "-b", "groq")["total"]["cost"] == 3
    assert loaded(home, "-m", "groq/qwen")["total"]["cost"] == 2


def test_where_nothing_was_called_that_is_said_and_nothing_is_made(home):
    done = run(home)
    assert done.out == ""
    assert "nothing was called since" in done.err
    assert "--since all" in done.err
    assert "nothing was called yet" in run(home, "--since", "all").err
    assert "nothing was called" in run(home, "--recent").err
    assert loaded(home)["groups"] == loaded(home, "--recent") == []
    assert run(home, "--csv").out.startswith("backend,calls,")
    assert list(home.path.iterdir()) == []


def test_a_call_whose_process_died_is_not_shown_as_running(home):
    dead = {"outcome": "pending", "counted": "estimated", "process": DEAD, "expires": 1e18}
    write_calls(home.path, call(NOW, usd=None, **dead), call(NOW, usd=None, **{**dead, "process": os.getpid()}, **USED))
    alive = time.monotonic() + 60
    write_calls(home.path, call(NOW, usd=None, **{**dead, "process": os.getpid(), "expires": alive}))
    total = loaded(home)["total"]
    assert (total["running"], total["stopped"]) == (1, 2)
    assert [each["outcome"] for each in loaded(home, "--recent")] == ["pending", "abandoned", "abandoned"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--since", "soon"), "'soon' is no time"),
        (("--by", "colour"), "--by"),
        (("--recent", "0"), "--recent"),
        (("--json", "--csv"), "not allowed with"),
        (("--recent", "--by", "day"), "not allowed with"),
    ],
)
def test_what_makes_no_sense_exits_2(home, words, complaint):
    assert complaint in run(home, *words, code=2).err


# ---- the newest calls ----


def test_the_newest_calls_are_shown_a_line_each(home):
    write_calls(
        home.path,
        call(LAST_MONTH, usd=1),
        call(NOW, usd=0.5, **USED, latency_ms=2_000, first_token_ms=300, role="indexing", retries=2),
        call(NOW, usd=None, outcome="unreached", error="connection"),
    )
    head, newest, middle, oldest = run(home, "--recent", env={"TZ": "Asia/Tokyo"}).out.splitlines()
    assert cells(head) == ["time", "model", "role", "in", "out", "cost", "latency", "first", "retries", "outcome"]
    assert newest.endswith("unreached: connection")
    assert cells(newest)[2:6] == ["groq/llama", "llm", "-", "-"]
    assert cells(middle)[2:] == [
        *("groq/llama", "indexing", "1k", "200", "$0.5000", "2.0", "s", "300", "ms", "2", "complete")
    ]
    by_their_clock = time.strftime("%Y-%m-%d %H:%M", time.gmtime(LAST_MONTH + 9 * 3_600))
    assert oldest.startswith(by_their_clock)
    assert len(run(home, "--recent", "2").out.splitlines()) == 3


def test_recent_gives_programs_every_field(home):
    write_calls(
        home.path, call(NOW, usd=0.000000000001, **USED, session="7f3a0000", outcome="interrupted", error="timeout")
    )
    [found] = loaded(home, "--recent")
    assert found["time"] == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW))
    assert found["usage"]["total_tokens"] == 1_200
    assert (found["cost"], found["cost_usd"]) == (1e-12, "0.000000000001")
    assert (found["session"], found["outcome"], found["error"], found["retries"]) == (
        *("7f3a0000", "interrupted", "timeout", 0),
    )


# ---- for programs ----


def test_json_has_promised_keys_and_exact_costs(home):
    write_calls(home.path, *(call(NOW, usd=0.1, **USED) for _ in range(3)), call(NOW, usd=None))
    found = loaded(home, "--by", "model")
    assert list(found) == ["by", "since", "groups", "total"]
    [group] = found["groups"]
    assert list(group) == [
        *("backend", "model", "calls", "complete", "failed", "unreached", "stopped", "running", "cache_hits", "usage"),
        *("cost", "cost_usd", "unpriced", "latency_ms", "first_token_ms", "error_rate"),
    ]
    assert (group["cost"], group["cost_usd"], group["unpriced"]) == (0.3, "0.3", 1)
    assert group["usage"]["input_tokens"] == 3_000
    assert found["total"] == {key: value for key, value in group.items() if key not in ("backend", "model")}
    assert found["since"] == THIS_MONTH


def test_csv_is_rfc_4180_and_reads_back(home):
    write_calls(home.path, call(NOW, session="a", usd=1), call(NOW, session="b", usd=None, **USED))
    write_session(home.path, "a", 'one, "two"\nthree')
    done = run(home, "--by", "session", "--csv")
    assert done.bytes.count(b"\r\n") == 3
    rows = list(csv.DictReader(io.StringIO(done.bytes.decode(), newline="")))
    assert [row["title"] for row in rows] == ['one, "two"\nthree', ""]
    assert (rows[0]["cost_usd"], rows[1]["cost_usd"], rows[1]["unpriced"]) == ("1", "", "1")
    assert (rows[1]["input_tokens"], rows[1]["estimated"]) == ("1000", "false")


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)"])
def test_csv_has_no_formulas_that_a_model_wrote(home, text):
    write_calls(home.path, call(NOW, session="a"))
    write_session(home.path, "a", text)
    [row] = csv.DictReader(io.StringIO(run(home, "--by", "session", "--csv").out))
    assert row["title"] == f"'{text}"


# ---- on a terminal ----


def seen(home, *words, columns=80, env=None):
    """What a person sees of ``arawn usage``: the lines, and all bytes that came."""
    with ChatTerminal(home, command=[*ARAWN, "usage", *words], size=(60, columns), env=env) as person:
        assert person.wait_for_exit() == 0
        return person.lines, person.received


def bars(lines, name):
    """How many blocks stand in the chart behind each label."""
    begin = next(at for at, line in enumerate(lines) if f" by {name}" in line)
    return {line.split()[0]: sum(line.count(block) for block in "█▏▎▍▌▋▊▉#") for line in lines[begin + 1 :]}


@pytest.fixture
def busy(home):
    """A home with calls to three backends, with all there is to be told of them."""
    more = {"cache_read_tokens": 7, "reasoning_tokens": 7, "latency_ms": 900, "first_token_ms": 90}
    for backend, usd in (("anthropic", 30), ("groq", 15), ("ollama", None)):
        failed = call(NOW, backend=backend, usd=None, outcome="rejected", error="server")
        hit = call(NOW, backend=backend, outcome="cached")
        write_calls(home.path, failed, hit, call(NOW, backend=backend, model="m" * 30, usd=usd, **USED, **more))
    return home


def test_a_terminal_gets_a_chart_of_what_each_cost(busy):
    lines, _ = seen(busy)
    found = bars(lines, "backend")
    assert list(found) == ["anthropic", "groq", "ollama"]
    assert found["ollama"] == 0
    assert found["anthropic"] == pytest.approx(2 * found["groq"], abs=2)
    assert max(map(width, lines)) <= 80


@pytest.mark.parametrize("by", ["backend", "model"])
@pytest.mark.parametrize("columns", [30, 40, 60, 120])
def test_nothing_is_wider_than_the_terminal(busy, by, columns):
    lines, received = seen(busy, "--by", by, columns=columns, env={"NO_COLOR": "1"})
    written = received.decode().splitlines()
    assert max(map(width, written)) <= columns, "what the terminal would have had to wrap"
    assert any("$30.00" in line for line in lines)
    assert bars(lines, by)


def test_without_any_price_the_chart_is_one_of_tokens(home):
    write_calls(home.path, call(NOW, usd=None, **USED), call(NOW, usd=None, backend="ollama", input_tokens=600))
    lines, _ = seen(home)
    assert "tokens by backend" in lines
    found = bars(lines, "backend")
    assert found["groq"] == pytest.approx(2 * found["ollama"], abs=2)


def test_days_are_charted_in_their_order(home):
    days = [NOW - back * 86_400 for back in (3, 2, 0)]
    write_calls(home.path, *(call(day, usd=usd) for day, usd in zip(days, (1, 5, 2), strict=True)))
    lines, _ = seen(home, "--by", "day", "--since", "7d")
    found = bars(lines, "day")
    assert list(found) == sorted(found)
    assert len(found) == 4, "a day without calls has its place"
    assert list(found.values())[2] == 0


def test_no_color_and_a_locale_without_blocks_are_respected(busy):
    lines, received = seen(busy, env={"NO_COLOR": "1", "LC_ALL": "C"})
    assert b"\x1b[" not in received
    assert bars(lines, "backend")["anthropic"]
    assert not set("█▏▎▍▌▋▊▉") & set("".join(lines))


def test_many_sessions_show_the_most_expensive_and_say_so(home):
    write_calls(home.path, *(call(NOW, session=f"{number:08x}", usd=number) for number in range(1, 41)))
    lines, _ = seen(home, "--by", "session")
    assert "the most expensive 31 of 40: --csv has all" in lines
    assert len(run(home, "--by", "session", "--csv").out.splitlines()) == 41


# ---- ask --usage ----

PRICES = "[models.m-1]\ninput_price = 1000\noutput_price = 2000\n"


def test_ask_tells_what_the_ledger_has_of_the_answer(home):
    with Loopback(streamed(*STREAM)) as server:
        home.serve(server.url, f"{PRICES}[budget]\nlimit = 0.05\n")
        done = home.run("ask", "--usage", "--max-tokens", "5", "Hello")
    assert done.out == "Good day\n"
    [line] = done.err.splitlines()
    assert line.startswith("here/m-1 · 7 in · 2 out · $0.0110 · ")
    assert " s to first" in line
    assert line.endswith("budget 22%")
    [kept] = loaded(home, "--recent")
    assert (kept["cost_usd"], kept["usage"]["input_tokens"], kept["usage"]["output_tokens"]) == ("0.011", 7, 2)


def test_ask_tells_no_budget_where_there_is_none_and_nothing_unless_asked(home):
    with Loopback(streamed(*STREAM)) as server:
        home.serve(server.url)
        told, silent = home.run("ask", "--usage", "--json", "Hello"), home.run("ask", "Hello")
    assert json.loads(told.out)["text"] == "Good day"
    assert told.err.startswith("here/m-1 · 7 in · 2 out · ")
    assert "budget" not in told.err
    assert silent.err == ""


def test_ask_tells_nothing_of_what_never_came(home):
    home.serve("http://127.0.0.1:9")
    done = home.run("ask", "--usage", "Hello")
    assert done.code == 5
    assert done.err.startswith("Error: ")
