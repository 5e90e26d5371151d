"""Keys that a command prints."""

from __future__ import annotations

import os
import shlex
import sys
import time
import traceback

import pytest
from support.canary import CANARY

from arawn.errors import SecretError
from arawn.secrets import commands
from arawn.secrets.references import Reference, parse_reference

SOON = 0.5


@pytest.fixture
def script(tmp_path):
    """Write a Python program; return the reference that runs it, with words behind it."""

    def write(text, *words):
        file = tmp_path / "print key.py"
        file.write_text(text)
        return f"$cmd:{shlex.join([sys.executable, str(file), *words])}"

    return write


@pytest.fixture
def runs(tmp_path):
    """A file in which a program may count its runs."""
    return tmp_path / "runs"


def refused(look_up, reference):
    with pytest.raises(SecretError) as caught:
        look_up(reference)
    assert caught.value.exit_code == 3
    assert caught.value.hints
    assert CANARY not in "".join(traceback.format_exception(caught.value))
    return caught.value


def test_a_command_is_a_reference():
    assert parse_reference("$cmd:pass show a") == Reference("cmd", "pass show a")
    assert str(parse_reference("$cmd:pass show a")) == "$cmd:pass show a"


@pytest.mark.parametrize("printed", [CANARY, f"{CANARY}\n", f"  {CANARY} \r\n", f"{CANARY}\nuser: me\nmore\n"])
def test_the_first_line_is_the_key(look_up, script, printed):
    secret = look_up(script(f"print({printed!r}, end='')"))

    assert secret.reveal() == CANARY
    assert CANARY not in repr(secret) + secret.reference


def test_it_is_split_as_a_shell_would_and_nothing_is_expanded(look_up, script):
    reference = script("import sys; print('-'.join(sys.argv[1:]).encode().hex())", "a b", "$HOME", "*", "`id`", "$(id)")

    assert bytes.fromhex(look_up(reference).reveal()).decode() == "a b-$HOME-*-`id`-$(id)"


@pytest.mark.parametrize("sign", ["; echo x", "| cat", "&& echo x", "> /dev/null"])
def test_signs_of_a_shell_are_words_for_the_program(look_up, script, sign):
    reference = script("import sys; print(len(sys.argv))") + f" {sign}"

    assert look_up(reference).reveal() == str(1 + len(shlex.split(sign)))


def test_it_is_run_once_for_the_process(look_up, examine, script, runs):
    reference = script(f"open({str(runs)!r}, 'a').write('x'); print({CANARY!r})")

    for _ in range(3):
        assert look_up(reference).reveal() == CANARY
    assert runs.read_text() == "x"


def test_a_failure_is_not_kept(look_up, script, runs):
    reference = script(f"import os; print({CANARY!r}) if os.path.exists({str(runs)!r}) else exit(1)")
    refused(look_up, reference)
    runs.touch()

    assert look_up(reference).reveal() == CANARY


def test_it_has_no_input_no_terminal_and_the_home_folder(look_up, script, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    reference = script(
        "import os, sys\n"
        "try: os.close(os.open('/dev/tty', os.O_RDWR)); terminal = True\n"
        "except OSError: terminal = False\n"
        "print(len(sys.stdin.read()), os.getcwd() == sys.argv[1], terminal, os.getsid(0) == os.getpid(), sep=',')",
        str(tmp_path),
    )

    assert look_up(reference).reveal() == "0,True,False,True"


def test_a_program_of_the_home_folder_may_be_named_with_a_tilde(look_up, monkeypatch, tmp_path):
    program = tmp_path / "key"
    program.write_text(f"#!/bin/sh\necho {CANARY}\n")
    program.chmod(0o700)
    monkeypatch.setenv("HOME", str(tmp_path))

    assert look_up("$cmd:~/key").reveal() == CANARY


@pytest.mark.parametrize("program", ["./key", "bin/key", "../key"])
def test_a_program_of_the_working_folder_is_refused(look_up, program):
    error = refused(look_up, f"$cmd:{program} x")

    assert error.message == f"$cmd: {program} depends on the working folder"


def test_a_missing_program_is_named(look_up):
    error = refused(look_up, "$cmd:no-such-program-here x")

    assert error.message == "$cmd: cannot run no-such-program-here: No such file or directory"


@pytest.mark.parametrize("reference", ["$cmd:echo 'open", '$cmd:"', "$cmd:''"])
def test_what_cannot_be_split_or_run_is_refused(look_up, reference):
    assert refused(look_up, reference).message.startswith("$cmd: ")


@pytest.mark.parametrize("printed", ["", "\n", " \r\n", f"\n{CANARY}\n"])
def test_nothing_on_the_first_line_is_a_failure(look_up, script, printed):
    error = refused(look_up, script(f"print({printed!r}, end='')"))

    assert error.message.endswith(" printed nothing")


def test_an_exit_code_is_a_failure_whatever_was_printed_and_the_complaint_is_shown_short(look_up, script):
    complaint = "locked: " + "x" * 1000
    error = refused(look_up, script(f"import sys; print({CANARY!r}); print({complaint!r}, file=sys.stderr); exit(3)"))

    assert "failed with exit code 3: locked: xxx" in error.message
    assert len(error.message) < 300


def test_a_key_in_the_complaint_is_masked(look_up, script):
    error = refused(look_up, script("exit('bad token=hunter2hunter2')"))

    assert "hunter2" not in error.message
    assert "token=…" in error.message


def test_what_can_be_no_key_is_refused(look_up, script):
    error = refused(look_up, script("print('two words')"))

    assert error.message.endswith(" holds a character that no key has")


def test_a_command_that_does_not_end_is_stopped_with_all_it_started(look_up, script, monkeypatch, tmp_path):
    monkeypatch.setattr(commands, "TIMEOUT", SOON)
    marks = tmp_path / "child"
    child = f"open({str(marks)!r}, 'w').write(str(__import__('os').getpid())); __import__('time').sleep(600)"
    reference = script(
        f"import subprocess, sys, time; print({CANARY!r}, flush=True)\n"
        f"subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(600)"
    )
    began = time.monotonic()
    error = refused(look_up, reference)

    assert time.monotonic() - began < 30
    assert "did not print a key within 0.5 s, and was stopped" in error.message
    if marks.exists():
        assert ended(int(marks.read_text()))


def ended(pid):
    """Wait until a process is gone."""
    while True:
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
                if stat.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        os.sched_yield()


def test_output_without_end_is_not_kept(look_up, script, monkeypatch):
    monkeypatch.setattr(commands, "TIMEOUT", SOON)
    error = refused(look_up, script("import sys\nwhile True: sys.stdout.write('x' * 65536)"))

    assert "was stopped" in error.message


def test_much_output_behind_the_key_does_not_hold_it_up(look_up, script):
    much = "sys.stdout.write('x' * 5_000_000); sys.stderr.write('y' * 5_000_000)"

    assert look_up(script(f"import sys; print({CANARY!r}); {much}")).reveal() == CANARY


def test_a_program_left_in_the_background_does_not_hold_up_the_key(look_up, script):
    reference = script(
        f"import subprocess, sys; print({CANARY!r}, flush=True)\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(5)'])"
    )
    began = time.monotonic()

    assert look_up(reference).reveal() == CANARY
    assert time.monotonic() - began < commands.TIMEOUT


def test_a_report_runs_no_command_unless_it_may(examine, look_up, bindings, script, runs):
    from arawn.secrets.references import check

    reference = script(f"open({str(runs)!r}, 'a').write('x'); print({CANARY!r})")
    finding = examine(reference)

    assert (finding.state, finding.source, finding.reference) == ("NOT RUN", "command", reference)
    assert finding.sentence == "to try it: arawn doctor -b anthropic"
    assert not runs.exists()
    found = check(reference, backend="a", target="https://a", environ={}, bindings=bindings, run_commands=True)
    assert (found.state, found.tail) == ("ok", f"…{CANARY[-4:]} ({len(CANARY)})")
