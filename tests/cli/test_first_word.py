"""The first word that is no option names a command, is asked, or is an error: a mistyped one is never a paid call."""

from __future__ import annotations

import subprocess

import pytest
from support.chat_terminal import ChatTerminal
from support.processes import ARAWN, ECHO, Home

from arawn.cli.groups import COMMANDS


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path)
    home.configure(ECHO)
    return home


def test_a_word_with_blanks_is_asked(home):
    run = home.run("why is the sky blue?")

    assert (run.code, run.out) == (0, "why is the sky blue?\n")


def test_what_follows_a_question_are_words_and_options_of_ask(home):
    run = home.run("say it", "twice", "--json", "--no-save")

    assert run.code == 0
    assert '"text": "say it twice"' in run.out


@pytest.mark.parametrize("options", [["-q"], ["-b", "m"], ["--backend=m", "--no-project"]])
def test_options_before_a_question_are_those_of_every_command(home, options):
    assert home.run(*options, "a question").out == "a question\n"


def test_one_word_behind_a_pipe_that_holds_something_is_asked_with_it(home):
    run = home.run("explain", stdin=b"diff --git a b\n")

    assert (run.code, run.out) == (0, "explain\n\ndiff --git a b\n")


@pytest.mark.parametrize("word", ["aks", "chatt", "batches"])
def test_a_word_near_a_command_is_never_asked(home, word):
    run = home.run(word, stdin=b"text")

    assert run.code == 2
    assert "did you mean" in run.err
    assert home.run("usage", "--recent", "--json").out == "[]\n"


@pytest.mark.parametrize(
    ("words", "stdin"),
    [(["explain"], b""), (["explain"], None), (["explain", "this"], b"text"), (["explain", "--json"], b"text")],
)
def test_everything_else_is_an_error_with_both_hints(home, words, stdin):
    run = home.run(*words, stdin=stdin)

    assert (run.code, run.out) == (2, "")
    assert run.err.splitlines()[0] == 'Error: no command "explain"'
    assert "  try: arawn --help" in run.err
    assert '  to ask: arawn ask "explain"' in run.err


def test_a_file_as_standard_input_makes_no_question_of_a_word(home, tmp_path):
    lines = tmp_path / "lines"
    lines.write_text("a\nb\n")
    with lines.open("rb") as stdin:
        run = home.start("explain", stdin=stdin)
        _, err = run.communicate(timeout=60)

    assert (run.returncode, err.splitlines()[0]) == (2, b'Error: no command "explain"')


@pytest.mark.parametrize("word", ["sk-abcdefghijklmnopqrstuvwxyz", "x" * 21])
def test_a_long_word_is_not_repeated_for_it_may_be_a_key(home, word):
    run = home.run(word)

    assert run.code == 2
    assert word not in run.err + run.out


@pytest.mark.parametrize("words", [["config", "get", "llm.model", "sk-surplus"], ["doctor", "sk-surplus"]])
def test_surplus_words_are_never_repeated(home, words):
    run = home.run(*words)

    assert (run.code, run.out) == (2, "")
    assert "too many words" in run.err
    assert "sk-surplus" not in run.err


def test_no_words_at_all_show_the_help_and_are_wrong_usage(home):
    run = home.run()

    assert run.code == 2
    assert run.out == home.run("--help").out
    assert run.out.startswith("Usage: arawn [OPTIONS] COMMAND")


@pytest.mark.parametrize("words", [["ask"], ["config", "set"], ["sessions"]], ids=" ".join)
def test_help_with_a_command_shows_the_help_of_that(home, words):
    run = home.run("help", *words)

    assert run.code == 0
    assert run.out == home.run(*words, "--help").out


def test_help_alone_and_its_topic(home):
    assert home.run("help").out == home.run("--help").out
    assert "9 budget" in home.run("help", "exit-codes").out
    assert home.run("help", "aks").code == 2


@pytest.mark.parametrize("command", ["sessions", "cache", "secrets", "budget"])
def test_a_command_of_commands_alone_shows_what_there_is(home, command):
    bare, named = home.run(command), home.run(command, "list" if command in ("sessions", "secrets") else "show")

    assert (bare.code, bare.out) == (0, "")
    assert bare.err
    if command != "cache":
        assert bare.err == named.err


def test_ls_is_list(home):
    home.run("ask", "hello you")

    assert home.run("sessions", "ls").out == home.run("sessions", "list").out == home.run("sessions").out
    assert home.run("secrets", "ls").code == 0
    assert home.run("backends", "ls", "--offline").code == 0


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        (["--bakend", "m", "ask", "hi"], "no option --bakend", "did you mean --backend?"),
        (["ask", "--jsno", "hi"], "no option --jsno", "did you mean --json?"),
        (["ask", "-m"], "-m needs a value", "try: arawn"),
        (["config", "set", "llm.model"], "VALUE is missing", "try: arawn config set --help"),
        (["sessions", "shwo"], 'no command "sessions shwo"', 'did you mean "sessions show"?'),
        (
            ["ask", "--temperature", "nan", "hi"],
            "--temperature: expected a number from 0 to 2",
            "try: arawn ask --help",
        ),
        (["ask", "--think", "hard", "hi"], "--think: 'hard' is not one of", "try: arawn ask --help"),
        (["ask", "-c", "-s", "x", "hi"], "-s is not allowed with -c", ""),
        (["ask", "--json", "-x", "hi"], "-x is not allowed with --json", ""),
        (["ask", "-s", "answer in Spanish", "hi"], "there is no session of that name", "--system TEXT"),
        (["ask", "-o", "temperature", "0.5", "hi"], "-o names the file", "you may mean: --temperature 0.5"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_wrong_usage_is_one_line_and_a_hint(home, words, error, hint):
    run = home.run(*words)

    assert (run.code, run.out) == (2, "")
    assert run.err.startswith(f"Error: {error}")
    assert hint in run.err
    assert "Traceback" not in run.err


def test_a_session_whose_name_has_blanks_goes_on(home):
    home.run("ask", "-s", "plan", "one")
    home.run("sessions", "rename", "plan", "holiday plan")

    assert home.run("ask", "-s", "holiday plan", "two").code == 0
    assert '"turns": 2' in home.run("sessions", "--json").out


def test_short_options_may_be_put_together(home):
    run = home.run("ask", "-xq", "no code here, please")

    assert (run.code, run.out) == (0, "no code here, please\n")


def test_the_option_that_stands_later_wins(home):
    home.configure(ECHO + '[backends.n]\nadapter = "mock"\nreplies = [{ text = "from n" }]\n')

    assert home.run("-b", "m", "ask", "hi there", "-b", "n").out == "from n\n"
    assert home.run("-b", "n", "ask", "hi there", "-b", "m").out == "hi there\n"
    assert home.run("-b", "n", "ask", "hi there").out == "from n\n"


def test_n_reads_no_standard_input_so_that_a_loop_keeps_its_lines(home):
    script = f'while read -r line; do {" ".join(ARAWN)} ask -n --no-save "about $line"; done'
    done = subprocess.run(
        ["/bin/sh", "-c", script], input=b"a b\nc d\n", capture_output=True, cwd=home.work, env=home.environ
    )

    assert (done.returncode, done.stdout) == (0, b"about a b\nabout c d\n")


@pytest.mark.parametrize("columns", [100, 80, 74])
def test_on_a_terminal_the_help_stands_in_panels_the_commands_first(home, columns):
    with ChatTerminal(home, command=[*ARAWN, "--help"], size=(80, columns)) as person:
        person.wait_for("arawn help exit-codes")
        lines = person.lines
    panels = [line.strip("╭─╮ ") for line in lines if line.startswith("╭")]
    assert panels == ["Talk", "Look", "Money", "Set up", "Options of every command"]
    assert "a [backends.NAME] table" in "\n".join(lines)
    assert max(map(len, lines)) <= min(columns, 80)


def test_every_help_ends_with_examples_and_fits_into_80_columns(home):
    for command in COMMANDS:
        lines = home.run(command, "--help").out.splitlines()
        at = lines.index("Examples:")
        assert 1 <= len(lines[at + 1 :]) <= 3, command
        assert all(line.startswith("  arawn") or "| arawn" in line for line in lines[at + 1 :]), command
        assert max(map(len, lines[:at])) <= 80, command
