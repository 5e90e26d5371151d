"""``arawn models``: listing, and another table of models."""

from __future__ import annotations

import json
import ssl
import stat

import pexpect
import pytest
import trustme
from support.loopback import Loopback, answer
from support.processes import ARAWN, Home

FIRST = """\
date = "2026-12-15"
[backends.deepseek.models.deepseek-flash]
context_window = 1_000_000
max_output = 384_000
capabilities = ["tools", "vision", "reasoning"]
prices = [{ input = 9, output = 20 }]
[backends.deepseek.models.deepseek-v5]
prices = [{ input = 1, output = 2 }]
"""
CHEAPER = FIRST.replace("input = 9", "input = 8")
MOVED = "https://127.0.0.1:1/models.toml"


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


@pytest.fixture
def table(home):
    """Writes a table, and returns the name of its file."""

    def write(text):
        (home.work / "models.toml").write_text(text)
        return "models.toml"

    return write


@pytest.fixture
def secure(tmp_path):
    """Returns a loopback server that speaks https, and the environment in which it is trusted."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def serve(*replies):
        return Loopback(*([reply] for reply in replies), tls=context), {"SSL_CERT_FILE": str(tmp_path / "ca.pem")}

    return serve


def price(home, model="deepseek-flash"):
    """Return what a model costs now: input."""
    rows = json.loads(home.run("models", "--known", "--json", "-b", "deepseek", model).out)
    return [row["input_price"] for row in rows if row["id"] == model]


class TestListing:
    def test_retired_models_are_listed_with_the_day_and_their_successor(self, home):
        run = home.run("models", "--known", "-b", "anthropic", "claude-3-opus")

        (line,) = run.out.splitlines()[1:]
        assert line.endswith('  was retired on 2026-01-05; use "claude-opus-5-5"')

    def test_retired_models_come_last(self, home):
        rows = json.loads(home.run("models", "--known", "--json", "-b", "anthropic").out)

        retired = [row["retired"] for row in rows]
        assert retired == sorted(retired)
        assert set(retired) == {False, True}

    def test_as_json_a_row_says_all_that_is_known_and_from_where(self, home):
        (row,) = json.loads(home.run("models", "--known", "--json", "-b", "anthropic", "claude-opus-5-5").out)

        assert row == {
            "id": "claude-opus-5-5",
            "context_window": 1_000_000,
            "max_output": 128_000,
            "input_price": 4,
            "output_price": 20,
            "cache_read_price": 0.2,
            "cache_write_price": 5,
            "cache_write_1h_price": 8,
            "capabilities": ["json_schema", "pdf", "reasoning", "tools", "vision"],
            "retires": "",
            "retired": False,
            "successor": "",
            "note": "",
            "source": row["source"],
            "as_of": "2026-11-30",
            "sure": True,
        }
        assert row["source"]

    def test_what_is_not_sure_has_a_question_mark(self, home):
        (_, line) = home.run("models", "--known", "-b", "anthropic", "claude-mythos-5-1").out.splitlines()
        assert line.split()[3:5] == ["10?", "50?"]

    @pytest.mark.parametrize("words", [("models", "list"), ("models",)])
    def test_list_is_what_it_does_without_a_command(self, home, words):
        run = home.run(*words, "--known", "-b", "cerebras", "gpt-oss")
        assert [line.split()[0] for line in run.out.splitlines()] == ["model", "gpt-oss-120b"]

    def test_a_tab_offers_the_commands(self, home):
        assert {"list", "update"} <= set(home.tab("arawn models ").out.split())


class TestUpdate:
    def test_without_a_table_both_forms_are_named(self, home):
        run = home.run("models", "update")

        assert (run.code, run.out) == (2, "")
        assert run.err.splitlines()[1:] == [
            "  arawn models update FILE",
            "  arawn models update https://HOST/models.toml",
        ]

    def test_a_file_is_shown_stored_and_counts(self, home, table):
        run = home.run("models", "update", table(FIRST))

        assert run.code == 0
        assert "+ deepseek/deepseek-v5: 1/2" in run.out.splitlines()
        assert "- deepseek/deepseek-v4-pro" in run.out.splitlines()
        assert any(line.startswith("~ deepseek/deepseek-flash: price ") for line in run.out.splitlines())
        assert run.err.splitlines()[0] == "1 new, 1 changed, 4 gone"
        assert (price(home), price(home, "deepseek-v5"), price(home, "deepseek-v4-pro")) == ([9], [1], [])

    def test_it_is_kept_where_only_its_owner_reads_it(self, home, table):
        home.run("models", "update", table(FIRST))
        home.run("models", "update", table(CHEAPER), "--yes")

        files = [home.path / name for name in ("models.jsonl", "models.jsonl.previous")]
        assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600, 0o600]

    def test_a_price_that_falls_is_not_taken_over_without_a_word(self, home, table):
        home.run("models", "update", table(FIRST))
        run = home.run("models", "update", table(CHEAPER))

        assert run.code == 2
        assert run.err.splitlines()[1:] == [
            "Warning: a price falls, so budgets would count less: deepseek/deepseek-flash",
            "Error: nothing was changed",
            "  to use it all the same: arawn models update models.toml --yes",
        ]
        assert price(home) == [9]
        assert home.run("models", "update", "models.toml", "--yes").code == 0
        assert price(home) == [8]

    @pytest.mark.parametrize(("answered", "code", "now"), [("y", 0, [8]), ("n", 2, [9]), ("", 2, [9])])
    def test_on_a_terminal_it_asks(self, home, table, answered, code, now):
        home.run("models", "update", table(FIRST))
        table(CHEAPER)
        words = [*ARAWN[1:], "models", "update", "models.toml"]
        terminal = pexpect.spawn(ARAWN[0], words, cwd=str(home.work), env=home.environ, encoding="utf-8", timeout=60)
        terminal.expect_exact("use this table? [y/N]")
        terminal.sendline(answered)
        terminal.expect(pexpect.EOF)
        terminal.close()

        assert terminal.exitstatus == code
        assert price(home) == now

    def test_undo_goes_back_step_by_step_to_the_built_in_table(self, home, table):
        built_in = price(home)
        home.run("models", "update", table(FIRST))
        home.run("models", "update", table(CHEAPER), "--yes")

        assert home.run("models", "update", "--undo").err == "in force again: the table stored before\n"
        assert price(home) == [9]
        assert home.run("models", "update", "--undo").err == "in force again: the built-in table\n"
        assert price(home) == built_in
        run = home.run("models", "update", "--undo")
        assert (run.code, run.err) == (2, "Error: no table of models is stored: there is nothing to undo\n")

    def test_a_table_that_is_damaged_is_named_and_can_be_replaced_or_taken_back(self, home, table):
        damaged = home.path / "models.jsonl"
        for repair in (["models", "update", table(FIRST)], ["models", "update", "--undo"]):
            damaged.write_text('{"backend":"deepseek",')
            run = home.run("models", "--known", "-b", "deepseek")
            assert run.code == 3
            assert run.err.splitlines()[-1] == "  go back to the one before: arawn models update --undo"
            assert home.run(*repair).code == 0
            assert price(home)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("date = ", "Invalid value"),
            (FIRST.replace("9", "nan"), "prices[0].input: expected USD per million tokens"),
            (FIRST.replace("9", "-9"), "prices[0].input: expected USD per million tokens"),
            (FIRST.replace("9", "1e9"), "prices[0].input: expected USD per million tokens"),
            (FIRST + "x" * (9 << 20), "too large"),
        ],
    )
    def test_a_table_with_anything_wrong_is_refused_whole_in_one_line(self, home, table, text, said):
        before = price(home)
        run = home.run("models", "update", table(text))

        assert run.code in (2, 3)
        assert said in run.err.splitlines()[0]
        assert len([line for line in run.err.splitlines() if line.startswith("Error")]) == 1
        assert price(home) == before

    def test_a_file_that_is_not_there_is_said(self, home):
        run = home.run("models", "update", "nothing.toml")
        assert (run.code, "nothing.toml" in run.err) == (2, True)


class TestDownload:
    def test_a_table_is_read_by_https(self, home, secure):
        server, environ = secure(answer(FIRST.encode()))
        with server:
            run = home.run("models", "update", f"{server.url}/models.toml", env=environ)

        assert run.code == 0, run.err
        assert [request.target for request in server.requests] == ["/models.toml"]
        assert price(home) == [9]

    def test_it_may_redirect_to_https(self, home, secure):
        server, environ = secure(answer(status=302, headers={"Location": "/elsewhere.toml"}), answer(FIRST.encode()))
        with server:
            assert home.run("models", "update", f"{server.url}/models.toml", env=environ).code == 0
        assert [request.target for request in server.requests] == ["/models.toml", "/elsewhere.toml"]

    @pytest.mark.parametrize(
        ("reply", "said"),
        [
            (answer(status=302, headers={"Location": "http://127.0.0.1:1/models.toml"}), "is not encrypted"),
            (answer(status=302, headers={"Location": "file:///etc/passwd"}), "cannot be used"),
            (answer(status=302, headers={"Location": "/models.toml"}), "redirects more than 5 times"),
            (answer(status=302), "status 302"),
            (answer(status=404), "status 404"),
            (answer(b"x" * ((8 << 20) + 1)), "more than 8388608 bytes"),
            (answer(b"<html>"), "no table of models"),
        ],
    )
    def test_what_is_no_table_by_https_is_refused_in_one_line(self, home, secure, reply, said):
        server, environ = secure(reply)
        with server:
            run = home.run("models", "update", f"{server.url}/models.toml", env=environ)

        assert run.code != 0
        assert said in run.err.splitlines()[0]
        assert not (home.path / "models.jsonl").exists()

    @pytest.mark.parametrize(
        "url",
        [
            "http://127.0.0.1/models.toml",
            "HTTP://127.0.0.1/x",
            "ftp://127.0.0.1/x",
            "file:///etc/passwd",
            "https://",
            "https://u:p@127.0.0.1/x",
        ],
    )
    def test_no_other_address_is_read(self, home, url):
        run = home.run("models", "update", url)
        assert (run.code, run.out) == (2, "")
        assert "u:p" not in run.err


class TestBedrock:
    """Both tables send the bearer key, each in the shape of its protocol."""

    @pytest.mark.parametrize(
        ("backend", "first"),
        [
            ("bedrock", "POST https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1/responses"),
            ("bedrock-anthropic", "POST https://bedrock-mantle.us-east-1.api.aws/anthropic/v1/messages"),
        ],
    )
    def test_a_question_goes_to_its_address_with_the_key_as_a_bearer(self, home, backend, first):
        run = home.run("-b", backend, "ask", "hi", "--dry-run", env={"AWS_BEARER_TOKEN_BEDROCK": "k"})

        lines = run.out.splitlines()
        assert (run.code, lines[0]) == (0, first)
        assert "Authorization: Bearer ***" in lines
