"""A Tab in bash, zsh and fish: what it offers, what it puts on the line, and that it starts Python only for names."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.shells import SESSIONS, ShellHome, require

from arawn.cli.completion_scripts import FILES, script
from arawn.cli.groups import COMMANDS

ROOT = Path(__file__).parents[2]
EFFORTS = {"none", "minimal", "low", "medium", "high", "xhigh", "max"}
CONFIGURATION = """
[backends.my-server]
adapter = "openai_chat"
base_url = "http://localhost:9"
model = "llama3:8b"
[aliases]
mine = "my-server/llama3:8b"
"""

SPELLED_OUT = {
    "arawn ": set(COMMANDS),
    "arawn co": {"compare", "completions", "config"},
    "arawn -q co": {"compare", "completions", "config"},
    "arawn -b groq co": {"compare", "completions", "config"},
    "arawn --backend=groq co": {"compare", "completions", "config"},
    'arawn --model "a model" co': {"compare", "completions", "config"},
    "arawn --no": {"--no-project"},
    "arawn --ver": {"--version"},
    "arawn ask --ver": set(),
    "arawn ask --js": {"--json", "--jsonl"},
    'arawn ask "how -m is" --js': {"--json", "--jsonl"},
    "arawn ask --think ": EFFORTS,
    "arawn ask --think=m": {"minimal", "medium", "max"},
    "arawn -m groq/a:b ask --think x": {"xhigh"},
    "arawn config s": {"show", "set", "schema"},
    "arawn -q config --debug s": {"show", "set", "schema"},
    "arawn config show --or": {"--origin"},
    "arawn config get --or": {"--origin"},
    "arawn secrets d": {"delete"},
    "arawn backends ": {"list", "check"},
    "arawn completions ": set(FILES),
    "arawn completions --install z": {"zsh"},
    "arawn ask con": set(),
    "arawn ask config s": set(),
    "arawn ask --system co": set(),
    "arawn embed a": set(),
    "arawn models gp": set(),
}
ASKED_FOR = {
    "arawn -b my": {"my-server"},
    "arawn --backend=my": {"my-server"},
    "arawn ask --backend my": {"my-server"},
    "arawn ask hello -b my": {"my-server"},
    "arawn backends check my": {"my-server"},
    "arawn --config other.toml ask -b oth": {"other"},
    "arawn ask -m mine": {"mine"},
    "arawn -b my-server ask -m ": {"llama3:8b"},
    "arawn secrets set my": {"my-server"},
    "arawn config get llm.m": {"llm.model", "llm.max_tokens"},
    "arawn config set llm.effort ": EFFORTS,
    "arawn config set backends.groq.insecure_tls ": {"true", "false"},
    "arawn config set llm.backend my": {"my-server"},
}
TYPED = {
    "arawn compl\tz\t": ["completions", "zsh"],
    "arawn --backend=my\task hi": ["--backend=my-server", "ask", "hi"],
    "arawn ask -m my-server/llama3:8\thi": ["ask", "-m", "my-server/llama3:8b", "hi"],
    "arawn ask -m my-server/llama3:\thi": ["ask", "-m", "my-server/llama3:8b", "hi"],
    'arawn ask -m "my-server/llama3:8\thi': ["ask", "-m", "my-server/llama3:8b", "hi"],
    "arawn ask --model=my-server/llama3:8\thi": ["ask", "--model=my-server/llama3:8b", "hi"],
    'arawn ask --model="my-server/llama3:8\thi': ["ask", "--model=my-server/llama3:8b", "hi"],
    "arawn ask -m my-server/l hi\x02\x02\x02\t": ["ask", "-m", "my-server/llama3:8b", "hi"],
    "arawn ask -f no\thi": ["ask", "-f", "notes of mine.txt", "hi"],
    "arawn ask --output no\thi": ["ask", "--output", "notes of mine.txt", "hi"],
    "arawn --config oth\task hi": ["--config", "other.toml", "ask", "hi"],
    "arawn config validate oth\t": ["config", "validate", "other.toml"],
    "arawn ask no\t": ["ask", "notes of mine.txt"],
    "arawn ask --system no\t": ["ask", "--system", "notes of mine.txt"],
}


@pytest.fixture
def desk(tmp_path: Path) -> ShellHome:
    desk = ShellHome(tmp_path)
    desk.configure(CONFIGURATION)
    (desk.work / "notes of mine.txt").write_text("")
    (desk.work / "other.toml").write_text("[backends.other]\nadapter = 'ollama'\n")
    return desk


@pytest.fixture(params=SESSIONS)
def session(request, desk):
    with SESSIONS[request.param](desk, f"source {ROOT / 'completions' / FILES[request.param]}") as session:
        yield session


@pytest.mark.parametrize("shell", FILES)
def test_every_script_is_the_one_in_the_project(shell):
    assert (ROOT / "completions" / FILES[shell]).read_text(encoding="utf-8") == script(shell), "run: make generate"


@pytest.mark.e2e
def test_commands_options_and_choices_are_offered(session):
    offered = {line: session.offers(line) for line in SPELLED_OUT}

    assert offered == SPELLED_OUT


@pytest.mark.e2e
def test_a_tab_starts_arawn_once(session):
    session.offers("arawn ask --js")

    assert len(session.desk.calls) == 1


@pytest.mark.e2e
def test_names_are_those_of_the_configuration(session):
    offered = {line: session.offers(line) for line in ASKED_FOR}

    assert offered == ASKED_FOR


@pytest.mark.e2e
def test_what_a_tab_puts_on_the_line_reaches_arawn(session):
    received = {line: session.run(line) for line in TYPED}

    assert received == TYPED


@pytest.mark.e2e
def test_bash_told_not_to_cut_words_completes_them_too(desk: ShellHome):
    with SESSIONS["bash"](desk, f"COMP_WORDBREAKS=' <>'; source {ROOT / 'completions/arawn.bash'}") as session:
        received = {line: session.run(line) for line in TYPED}

    assert received == TYPED


@pytest.mark.e2e
def test_a_file_is_offered_after_a_redirection(session):
    session.run("arawn ask hi >> no\t")

    assert not (session.desk.work / "no").exists()
    assert [words for words in session.desk.calls if words != ["<Tab>"]] == [["ask", "hi"]]


@pytest.mark.e2e
def test_a_name_made_to_run_a_command_is_neither_run_nor_offered(session):
    names = ("$(touch ran)", "`touch ran`", "zz;touch ran", "zz\\u001b[2J", "zz\\ntouch ran", "-z", "zzz")
    session.desk.configure("".join(f'[backends."{name}"]\nadapter = "ollama"\n' for name in names))

    assert session.offers("arawn -b z") == {"zzz"}
    assert not (session.desk.work / "ran").exists()


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("shell", "file", "load"),
    [
        ("bash", ".local/share/bash-completion/completions/arawn", "source /usr/share/bash-completion/bash_completion"),
        ("zsh", ".zfunc/_arawn", "fpath=(~/.zfunc $fpath); autoload -U compinit; compinit -u -D"),
        ("fish", ".config/fish/completions/arawn.fish", "true"),
    ],
)
def test_an_installed_script_is_found_by_new_shells(desk: ShellHome, shell, file, load):
    require(shell)
    done = desk.run("completions", shell, "--install")
    installed = Path(desk.environ["HOME"], file)

    assert (done.code, done.err) == (0, "")
    assert str(installed) in done.out
    assert installed.read_text(encoding="utf-8") == script(shell)
    if shell == "bash" and not Path("/usr/share/bash-completion/bash_completion").exists():
        pytest.skip("the package bash-completion is not installed")
    with SESSIONS[shell](desk, load) as session:
        assert session.run("arawn compl\tz\t") == ["completions", "zsh"]


def test_installing_goes_where_the_environment_says(desk: ShellHome, tmp_path: Path):
    places = {"XDG_DATA_HOME": str(tmp_path / "data"), "XDG_CONFIG_HOME": str(tmp_path / "config")}

    assert desk.run("completions", "bash", "--install", env=places).code == 0
    assert desk.run("completions", "fish", "--install", env=places).code == 0
    assert (tmp_path / "data/bash-completion/completions/arawn").exists()
    assert (tmp_path / "config/fish/completions/arawn.fish").exists()


def test_installing_for_powershell_says_what_to_do_instead(desk: ShellHome):
    done = desk.run("completions", "powershell", "--install")

    assert done.code == 2
    assert "$PROFILE" in done.err


def test_installing_where_a_file_is_in_the_way_is_one_line_and_exit_2(desk: ShellHome):
    Path(desk.environ["HOME"], ".zfunc").write_text("")
    done = desk.run("completions", "zsh", "--install")

    assert done.code == 2
    assert "cannot write" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("shell", FILES)
def test_the_script_is_printed_as_it_is(desk: ShellHome, shell):
    done = desk.run("completions", shell)

    assert (done.code, done.err) == (0, "")
    assert done.out == script(shell)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_one_the_shell_can_read(shell):
    done = subprocess.run([require(shell), "-n", ROOT / "completions" / FILES[shell]], capture_output=True)

    assert (done.returncode, done.stderr) == (0, b"")


def test_generating_writes_the_files_of_the_project(tmp_path: Path):
    made = ["completions", "docs", "config.example.toml"]
    for name in made:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, tmp_path / name)
    for file in FILES.values():
        (tmp_path / "completions" / file).unlink()
    subprocess.run([sys.executable, ROOT / "scripts/generate.py"], cwd=tmp_path, check=True)

    for shell, file in FILES.items():
        assert (tmp_path / "completions" / file).read_text(encoding="utf-8") == script(shell)
