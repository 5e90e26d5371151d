"""What a shell hands over as a file is one: ``<(command)``, ``>(command)``, FIFOs, and ``-`` for standard output."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import stat
import subprocess
import sys

import pytest
from support.chat_server import ChatServer
from support.chat_terminal import ChatTerminal
from support.processes import ECHO, Run
from support.waiting import wait_until

BASH = shutil.which("bash")
pytestmark = pytest.mark.skipif(BASH is None or not os.path.exists("/dev/fd"), reason="needs bash and /dev/fd")


@pytest.fixture
def bash(home):
    """Runs a line in which ``arawn`` is this one, and answers with the question."""
    home.configure(ECHO)
    arawn = f'arawn() {{ {shlex.quote(sys.executable)} -m arawn "$@"; }}\n'

    def run(script):
        where = {"env": home.environ, "cwd": home.work, "timeout": 60}
        return Run(subprocess.run([str(BASH), "-c", arawn + script], capture_output=True, input=b"", **where))

    return run


def test_a_file_may_be_the_output_of_a_command(bash):
    run = bash("arawn ask -q -f <(printf 'one\\n') -f <(printf two) what")
    assert run.code == 0, run
    assert "\none\n</file>" in run.out
    assert "\ntwo\n</file>" in run.out


def test_a_command_that_says_nothing_is_an_empty_file(bash):
    run = bash("arawn ask -q -f <(true) what")
    assert run.code == 0, run
    assert run.out.endswith("\n\n</file>\n\nwhat\n")


@pytest.mark.parametrize("script", ["cat red.png | arawn ask -f - colour", "arawn ask -f <(cat red.png) colour"])
def test_a_picture_may_come_from_a_command(bash, home, script):
    (home.work / "red.png").write_bytes(b"\x89PNG\r\n\x1a\n...")
    with ChatServer(lambda _: "red") as server:
        home.serve(server.url)
        assert bash(script).code == 0
        picture, text = server.bodies[0]["messages"][0]["content"]
    assert picture["image_url"]["url"] == "data:image/png;base64,iVBORw0KGgouLi4="
    assert text["text"] == "colour"


def test_standard_input_in_place_of_a_file_is_not_sent_twice(bash):
    for name in ("-", "/dev/stdin"):
        run = bash(f"printf 'piped\\n' | arawn ask -q -f {name} what")
        assert (run.code, run.out) == (0, '<file path="standard input">\npiped\n</file>\n\nwhat\n')


def test_a_schema_may_be_the_output_of_a_command(bash):
    run = bash("""arawn ask -q --schema <(echo '{"type": "object", "required": ["a"]}') '{"a": 1}'""")
    assert (run.code, run.out) == (0, '{"a": 1}\n'), run
    run = bash("""arawn ask -q --schema <(echo '{"type": "object", "required": ["b"]}') '{"a": 1}'""")
    assert run.code == 10


def test_configuration_and_variables_may_be_the_output_of_a_command(bash):
    table = '[backends.x]\\nadapter="mock"\\nmode="echo"\\nmodel="parrot"\\n'
    script = f"arawn --config <(printf '[llm]\\nbackend=\"x\"\\n{table}')"
    run = bash(f"{script} ask --json hi")
    assert run.code == 0, run
    assert (json.loads(run.out)["backend"], json.loads(run.out)["model"], run.err) == ("x", "parrot", "")
    run = bash("arawn --env-file <(echo LLM_MODEL=from-a-pipe) ask --json hi")
    assert (json.loads(run.out)["model"], run.err) == ("from-a-pipe", "")


def test_a_configuration_from_a_command_cannot_be_changed(bash):
    run = bash("arawn --config <(echo) config set llm.model x")
    assert run.code == 3, run
    assert "cannot" in run.err


def test_texts_to_embed_may_come_from_a_command(bash):
    run = bash("echo three | arawn embed -b mock -f <(echo one) -f <(echo two) -f -")
    assert (run.code, run.out) == (0, bash("arawn embed -b mock one two three").out), run


def test_questions_of_a_batch_may_come_from_a_command_or_a_fifo(bash, home):
    run = bash("""arawn batch -q <(printf '"a"\\n"b"\\n') -o answers.jsonl""")
    assert run.code == 0, run
    os.mkfifo(home.work / "fifo")
    run = bash("""(printf '"c"\\n' > fifo) & arawn batch -q fifo -o more.jsonl""")
    assert run.code == 0, run
    lines = [line for name in ("answers", "more") for line in (home.work / f"{name}.jsonl").read_text().splitlines()]
    assert [json.loads(line)["text"] for line in lines] == ["a", "b", "c"]


def test_an_answer_may_go_to_a_command(bash, home):
    run = bash("arawn ask -q -o >(cat > got) hello")
    assert (run.code, run.out) == (0, ""), run
    wait_until(lambda: (home.work / "got").exists() and (home.work / "got").read_text() == "hello\n")


def test_a_fifo_for_an_answer_stays_one(bash, home):
    os.mkfifo(home.work / "fifo")
    run = bash("cat fifo & arawn ask -q -o fifo hello; wait")
    assert (run.code, run.out) == (0, "hello\n"), run
    assert stat.S_ISFIFO((home.work / "fifo").stat().st_mode)


def test_an_incomplete_answer_goes_to_the_pipe_too(bash, home):
    home.configure(
        '[llm]\nbackend="m"\n[backends.m]\nadapter="mock"\nmax_retries=0\n'
        '[[backends.m.replies]]\ntext="one two three"\nerror="interrupted"\n'
    )
    run = bash("arawn ask -o >(cat > got) hello")
    assert run.code == 10, run
    wait_until(lambda: (home.work / "got").exists() and (home.work / "got").read_text().startswith("one"))
    assert "what had arrived is in /dev/fd/" in run.err


def test_a_session_is_exported_to_a_command(bash, home):
    assert bash("arawn ask hello").code == 0
    run = bash("arawn sessions export -o >(cat > got.md)")
    assert (run.code, run.out) == (0, "")
    wait_until(lambda: (home.work / "got.md").exists() and "hello" in (home.work / "got.md").read_text())


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1"])
def test_a_dash_is_standard_output(bash, home, name):
    assert bash(f"arawn ask -o {name} hello").out == "hello\n"
    assert bash(f"arawn ask -o {name} hello > file; cat file").out == "hello\n"
    assert bash(f"echo hello | arawn ask --each -o {name}").out == "hello\n"
    assert bash(f"arawn sessions export -o {name} | head -1").out == "# hello\n"
    run = bash(f"""echo '"one"' | arawn batch -q - -o {name}""")
    assert (run.code, json.loads(run.out)["text"], run.err) == (0, "one", "")
    assert not (home.work / "-").exists()


def test_on_a_terminal_a_dash_streams_as_without_it(home):
    home.configure(ECHO)
    command = [sys.executable, "-m", "arawn", "ask", "-o", "-", "**hello**"]
    with ChatTerminal(home, command=command) as person:
        assert person.wait_for_exit() == 0
        assert person.lines == ["hello"]


def test_records_of_a_batch_go_to_a_command(bash, home):
    run = bash("""printf '"a"\\n{"prompt": 1}\\n"b"\\n' | arawn batch - -o >(cat > got)""")
    assert run.code == 2, run
    assert "the same command again" not in run.err
    wait_until(lambda: (home.work / "got").exists() and (home.work / "got").read_text().count("\n") == 3)
    records = sorted(map(json.loads, (home.work / "got").read_text().splitlines()), key=lambda record: record["line"])
    assert [record["text"] for record in records] == ["a", "", "b"]


def test_a_batch_whose_reader_has_gone_dies_as_programs_do(bash):
    run = bash("""yes '"question"' | arawn batch -q - -o - | head -1 > one; echo ${PIPESTATUS[1]}""")
    assert run.out == "141\n", run


def test_a_terminal_behind_o_is_guarded_as_standard_output_is(home):
    home.configure(ECHO)
    (home.work / "q.jsonl").write_text(json.dumps("\x9bone\u202e") + "\n")
    hostile = "\x9bone\u202e"
    for words in (["ask", "-q", "-o", "/dev/tty", hostile], ["batch", "-q", "q.jsonl", "-o", "/dev/tty"]):
        with ChatTerminal(home, command=[sys.executable, "-m", "arawn", *words]) as person:
            assert person.wait_for_exit() == 0
            assert "one" in person.shown
            assert not any(character in person.received.decode() for character in "\x9b\u202e")
