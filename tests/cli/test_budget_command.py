"""``arawn budget`` and the budget under the prompt: how much may be spent, and how people see that it nearly is."""

from __future__ import annotations

import json
import os
import time
import tomllib
from datetime import UTC, datetime, timedelta

import pytest
from support.chat_terminal import PROMPT, ChatTerminal
from support.http_backend import STREAM, streamed
from support.ledger_rows import DEAD, DOLLAR, call, write_calls
from support.loopback import Loopback
from support.processes import ARAWN, Home

from arawn.cli.render.lines import width
from arawn.cli.repl.editor import order_toolbar

NOW = time.time()
TODAY = datetime.fromtimestamp(NOW, UTC).date()


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def run(home, *words, code=0, **options):
    done = home.run("budget", *words, **options)
    assert done.code == code, done
    return done


def config(home):
    return tomllib.loads((home.path / "config.toml").read_text())


def shown(home, *words):
    return json.loads(run(home, "show", "--json", *words).out)


# ---- show ----


def test_each_budget_is_shown_with_what_is_spent_and_left(home):
    home.configure("[budget]\nlimit = 20\n[budget.backends.groq]\nlimit = 0.5\nperiod = 'day'\n")
    write_calls(home.path, call(NOW, usd=3.2, backend="openai"), call(NOW, usd=0.4))
    head, everything, groq = (line.split() for line in run(home).out.splitlines())
    assert head == ["budget", "limit", "spent", "used", "reserved", "left", "window", "ends", "(UTC)"]
    assert everything[:6] == ["all", "$20.00", "$3.60", "18%", "-", "$16.40"]
    assert groq[:6] == ["groq", "$0.5000", "$0.4000", "80%", "-", "$0.1000"]
    assert groq[6:] == [str(TODAY), str(TODAY + timedelta(1)), "00:00"]


def test_json_has_promised_keys_and_exact_amounts(home):
    home.configure("[budget]\nlimit = 0.3\nperiod = 'total'\n[budget.backends.groq]\nlimit = 5\n")
    write_calls(home.path, *(call(NOW - 400 * 86_400, usd=0.1) for _ in range(2)))
    everything, groq = shown(home)
    assert everything == {
        "backend": None,
        "period": "total",
        "window": "total",
        "ends": None,
        "limit": 0.3,
        "limit_usd": "0.3",
        "spent": 0.2,
        "spent_usd": "0.2",
        "reserved": 0.0,
        "reserved_usd": "0",
        "left": 0.1,
        "left_usd": "0.1",
        "percent": 66,
    }
    first_of_next = (TODAY.replace(day=1) + timedelta(31)).replace(day=1)
    assert (groq["backend"], groq["window"], groq["ends"]) == (*("groq", str(TODAY)[:7], f"{first_of_next}T00:00:00Z"),)
    assert shown(home, "-b", "groq") == [groq]


def test_what_calls_under_way_may_cost_is_reserved_until_their_process_dies(home):
    home.configure("[budget]\nlimit = 20\n")
    pending = {"outcome": "pending", "counted": "estimated", "reserved": 2 * DOLLAR, "floor": DOLLAR}
    write_calls(
        home.path,
        call(NOW, usd=None, **pending, process=os.getpid(), expires=time.monotonic() + 60),
        call(NOW, usd=None, **pending, process=DEAD, expires=time.monotonic() + 60),
    )
    [found] = shown(home)
    assert (found["reserved"], found["spent"]) == (2, 1)


def test_without_a_budget_it_says_how_to_set_one_and_makes_nothing(home):
    done = run(home)
    assert done.out == ""
    assert "arawn budget set AMOUNT" in done.err
    assert shown(home) == []
    assert list(home.path.iterdir()) == []


def test_a_budget_of_which_nothing_was_spent_needs_no_ledger(home):
    home.configure("[budget]\nlimit = 20\n")
    assert shown(home)[0]["left"] == 20
    assert sorted(file.name for file in home.path.iterdir()) == ["config.toml"]


# ---- set and unset ----


def test_a_budget_that_is_set_counts_and_can_be_taken_back(home):
    assert run(home, "set", "20").out == "all backends: $20.00 a month\n"
    assert run(home, "set", "0.50", "--period", "day", "-b", "groq").out == "groq: $0.5000 a day\n"
    assert config(home)["budget"] == {"limit": 20, "backends": {"groq": {"limit": 0.5, "period": "day"}}}
    assert run(home, "set", "1", "-b", "groq").out == "groq: $1.00 a day\n", "its period stays"
    assert [each["limit"] for each in shown(home)] == [20, 1]
    run(home, "unset", "-b", "groq")
    assert [each["backend"] for each in shown(home)] == [None]
    run(home, "unset")
    assert shown(home) == []
    assert "limit" not in (home.path / "config.toml").read_text()


def test_the_rest_of_the_file_stays_as_it_was(home):
    home.configure("# mine\n[llm]\nbackend = 'mock' # really\n\n[chat]\ntheme = 'dark'\n")
    run(home, "set", "20", "--period", "total")
    text = (home.path / "config.toml").read_text()
    assert text.startswith("# mine\n[llm]\nbackend = 'mock' # really\n\n[chat]\ntheme = 'dark'\n")
    run(home, "unset")
    assert tomllib.loads((home.path / "config.toml").read_text()).get("budget", {}) == {}


def test_who_sets_a_budget_is_written_down(home):
    run(home, "set", "20")
    run(home, "set", "30", "-b", "groq")
    changes = [(each["subject"], each["after"]) for each in json.loads(home.run("audit", "--json").out)]
    assert changes == [("budget.limit", "20"), ("budget.backends.groq.limit", "30")]


@pytest.mark.parametrize(
    "amount", ["nan", "inf", "-5", "-0.5", "twenty", "1e3", "1_000", "1,000", "", "5.", ".5", "\u0665", "9" * 10]
)
def test_what_is_no_amount_exits_2_and_says_what_would_be(home, amount):
    done = run(home, "set", amount, code=2)
    assert "is no amount of USD" in done.err
    assert "arawn budget set 20" in done.err
    assert not (home.path / "config.toml").exists()


@pytest.mark.parametrize(("typed", "kept"), [("$20", 20), ("007", 7), ("0", 0), ("0.000000000001", 1e-12)])
def test_amounts_are_read_as_people_write_them(home, typed, kept):
    run(home, "set", typed)
    assert config(home)["budget"]["limit"] == kept


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("set",), 2, "AMOUNT"),
        (("set", "5", "--period", "week"), 2, "--period"),
        (("set", "5", "-b", "grok"), 3, 'did you mean "groq"?'),
        (("unset",), 3, "budget.limit is not set"),
        (("raise",), 2, "raise"),
    ],
)
def test_what_makes_no_sense_is_refused(home, words, code, complaint):
    assert complaint in run(home, *words, code=code).err


def test_a_variable_that_counts_more_than_the_file_is_told(home):
    done = run(home, "set", "20", env={"BUDGET_LIMIT": "5"})
    assert "BUDGET_LIMIT sets this budget too, and counts more than your file" in done.err
    assert run(home, "set", "20").err == ""


# ---- on a terminal ----


@pytest.mark.parametrize("columns", [30, 40, 80])
def test_a_terminal_gets_a_bar_of_what_is_spent(home, columns):
    home.configure("[budget]\nlimit = 20\n[budget.backends.groq]\nlimit = 4\n")
    write_calls(home.path, call(NOW, usd=5))
    env = {"NO_COLOR": "1"}
    with ChatTerminal(home, command=[*ARAWN, "budget"], size=(30, columns), env=env) as person:
        assert person.wait_for_exit() == 0
        everything, groq = person.lines[-2:]
        assert max(map(width, person.received.decode().splitlines())) <= columns
    assert everything.split() == ["all", everything.split()[1], "25%"]
    filled, track = (everything.count(sign) for sign in "█░")
    assert filled == pytest.approx((filled + track) / 4, abs=1)
    assert groq.endswith("125%")
    assert "░" not in groq


# ---- under the prompt ----

PRICES = "[models.m-1]\ninput_price = 1000\noutput_price = 2000\ncontext_window = 50000\n"


def test_chat_shows_how_much_of_the_budget_is_spent_after_each_answer(home):
    with Loopback(streamed(*STREAM)) as server:
        home.serve(server.url, f"max_tokens = 5\n{PRICES}[budget]\nlimit = 0.2\n[budget.backends.other]\nlimit = 0\n")
        with ChatTerminal(home, size=(40, 100)) as person:
            person.wait_for("budget 0%")
            person.send_line("how?")
            person.wait_for("7 in · 2 out · $0.0110 · 49k left · budget 5%")
            write_calls(home.path, call(NOW, usd=0.13, backend="elsewhere"))
            person.send_line("again")
            person.wait_for("here/m-1 · budget 76%! · 14 in")
            person.send_line("/usage")
            person.wait_for("budget        $0.1520 of $0.2000 this month (76%), $0.0480 left")


def test_a_narrow_window_shows_the_budget_that_is_nearly_spent(home):
    home.configure(
        f'[llm]\nbackend = "m"\n[backends.m]\nadapter = "mock"\nmodel = "m-1"\n{PRICES}[budget]\nlimit = 10\n'
    )
    write_calls(home.path, call(NOW, usd=9.99))
    with ChatTerminal(home, size=(20, 40)) as person:
        person.wait_for(PROMPT)
        person.wait_for("m/m-1 · budget 99%!")


def test_chat_says_nothing_of_a_budget_where_there_is_none(home):
    home.configure('[llm]\nbackend = "m"\n[backends.m]\nadapter = "mock"\nmodel = "m-1"\n')
    with ChatTerminal(home) as person:
        person.wait_for(" m/m-1")
        assert "budget" not in person.shown


def test_the_budget_stands_last_until_it_is_nearly_spent():
    assert order_toolbar("groq/llama", ["12 in"], "budget 74%", ["1 attached"]) == [
        *("groq/llama", "12 in", "budget 74%", "1 attached")
    ]
    assert order_toolbar("groq/llama", ["12 in"], "budget 75%!", []) == ["groq/llama", "budget 75%!", "12 in"]
