"""The rules of the house: what a start may import, which sockets may open, and how the files are kept."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support.http_backend import STREAM, streamed
from support.loopback import Loopback
from support.processes import Home

ROOT = Path(__file__).parent.parent
PACKAGE = sorted((ROOT / "arawn").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
CONFIG = """\
[llm]
backend = "local"

[backends.local]
adapter = "openai_chat"
base_url = "{url}/v1"
api_key = "$env:LOCAL_KEY"
model = "m-1"
"""


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


# ---- start-up ----

HEAVY = {
    *("asyncio", "concurrent", "email", "html", "http", "importlib.metadata", "multiprocessing", "sqlite3", "unittest"),
    *("aiohttp", "click", "httpx", "keyring", "mlx_lm", "platformdirs", "prompt_toolkit", "pydantic"),
    *("rich", "tomlkit"),
    *("pygments", "yaml"),
}
NETWORK = {"anyio", "certifi", "h11", "httpcore", "socket", "ssl"}
OF_HTTPX = {"email", "http", "httpx", "sqlite3"}  # sqlite3 is ours: what a call cost is always written down
TABS = {
    "backends": "arawn -b ",
    "keys": "arawn config get ",
    "models": "arawn -m ",
    "secrets": "arawn secrets delete ",
    "sessions": "arawn sessions show ",
    "commands": "arawn co",
    "options": "arawn ask --js",
}


def imported(run):
    """The modules a run under PYTHONPROFILEIMPORTTIME imported, with the packages they are in."""
    names = set(re.findall(r"^import time:.*\| +([\w.]+)$", run.err, re.MULTILINE))
    return names | {name[:at] for name in names for at in range(len(name)) if name[at] == "."}


def heavy(names, *more):
    """Those of them nobody should wait for."""
    return sorted(names & (HEAVY | {*more}))


def imported_by(home, *words, **env):
    run = home.run(*words, env={"PYTHONPROFILEIMPORTTIME": "1", **env})
    assert run.code == 0, run
    return imported(run)


@pytest.mark.parametrize("words", [["Hello"], ["--no-save", "Hello"]], ids=len)
def test_ask_imports_only_what_a_plain_call_needs(home, words):
    with Loopback(streamed(*STREAM)) as server:
        home.configure(CONFIG.format(url=server.url))
        found = imported_by(home, "ask", *words, LOCAL_KEY="k")
    assert "arawn.network.transport" in found
    assert heavy(found - OF_HTTPX) == []
    others = {f"arawn.adapters.{name}" for name in ("anthropic", "ollama", "openai.responses", "embeddings")}
    assert found & (others | {"arawn.backends.mock", "arawn.config.edit"}) == set()


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_the_version_is_told_before_anything_is_imported(home, option):
    assert {name for name in imported_by(home, option) if name.startswith("arawn")} == {"arawn"}


@pytest.mark.parametrize("words", [["--help"], ["ask", "--help"], ["config", "--help"]], ids=" ".join)
def test_help_imports_nothing_heavy(home, words):
    assert heavy(imported_by(home, *words), *NETWORK, "tomllib") == []


def test_a_command_that_asks_no_backend_imports_nothing_of_the_network(home):
    assert sorted(imported_by(home, "config", "show") & NETWORK) == []


@pytest.mark.parametrize("line", TABS.values(), ids=TABS)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_tab_imports_nothing_of_the_network(home, line, shell):
    run = home.tab(line, shell=shell, env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert heavy(imported(run), *NETWORK) == []


# ---- sockets: no command opens one but to its backend ----

WATCHER = """\
import os, sys

def watch(event, arguments):
    if event.startswith("socket.") or event in ("subprocess.Popen", "os.system", "os.posix_spawn"):
        with_address = event == "socket.connect"
        line = f"{event} {arguments[1] if with_address else ''}\\n"
        os.write(descriptor, line.encode())

descriptor = os.open(os.environ["WATCHED"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
sys.addaudithook(watch)
"""


@pytest.fixture
def watched(home, tmp_path):
    """Runs arawn and returns the run with what it did beyond itself, a line for each socket or process."""
    folder = tmp_path / "watcher"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(WATCHER)
    log = tmp_path / "events"

    def run(*words, **env):
        log.unlink(missing_ok=True)
        environ = {"PYTHONPATH": str(folder), "WATCHED": str(log), **env}
        done = home.tab(words[1], env=environ) if words[0] == "<Tab>" else home.run(*words, env=environ)
        return done, log.read_text().splitlines()

    return run


@pytest.mark.parametrize(
    "words",
    [
        ["--version"],
        ["--help"],
        ["ask", "--help"],
        ["ask", "--dry-run", "hello"],
        ["config", "show"],
        ["config", "show", "--origin"],
        ["config", "path"],
        ["config", "schema"],
        ["completions", "bash"],
        *(["<Tab>", line] for line in TABS.values()),
    ],
    ids=" ".join,
)
def test_r54_what_asks_no_backend_opens_no_socket_and_starts_no_process(watched, home, words):
    home.configure(CONFIG.format(url="http://127.0.0.1:9"))
    run, events = watched(*words)
    assert run.code == 0, run
    assert events == []


def test_r54_ask_connects_to_its_backend_and_nowhere_else(watched, home):
    with Loopback(streamed(*STREAM)) as server:
        home.configure(CONFIG.format(url=server.url))
        run, events = watched("ask", "Hello", LOCAL_KEY="k")
    assert run.out == "Good day\n"
    assert [event for event in events if "connect" in event] == [f"socket.connect ('127.0.0.1', {server.port})"]
    assert not [event for event in events if not event.startswith("socket.")]


def test_r53_importing_all_of_arawn_writes_nothing_and_opens_nothing(tmp_path):
    script = (
        "import sys, importlib\n"
        "import platformdirs, tomlkit, httpx, rich, keyring\n"
        "def watch(event, arguments):\n"
        "    writes = event == 'open' and isinstance(arguments[1], str) and set(arguments[1]) & set('wax+')\n"
        "    if writes or event.startswith(('socket.', 'subprocess.', 'os.mkdir', 'os.remove', 'os.rename')):\n"
        "        print(event, arguments)\n"
        "sys.addaudithook(watch)\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
    )
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in PACKAGE]
    done = subprocess.run([sys.executable, "-B", "-c", script, *names], capture_output=True, text=True, cwd=tmp_path)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


# ---- what an installation brings ----


def resolved(*options):
    """What pip would install for the core on Android, by name, with the file it would take; None if it cannot."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        requirements = [text for text in tomllib.load(file)["project"]["dependencies"] if "android" not in text]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-"]
    done = subprocess.run([*command, *options, *requirements], capture_output=True, text=True)
    if done.returncode:
        return None
    found = json.loads(done.stdout)["install"]
    return {each["metadata"]["name"]: each["download_info"]["url"].rpartition("/")[2] for each in found}


def test_r53_the_core_is_few_distributions_and_pure_python_where_nothing_can_be_compiled(tmp_path):
    if resolved() is None:
        pytest.skip("no package registry can be reached")
    pure = ["--only-binary=:all:", "--implementation", "py", "--abi", "none", "--platform", "any"]
    found = resolved(*pure, "--python-version", "3.11", "--target", str(tmp_path))
    assert found is not None
    assert {"httpx", "rich", "tomlkit"} <= {name.lower() for name in found}
    assert {file for file in found.values() if not file.endswith("-none-any.whl")} == set()
    assert len(found) + 1 <= 20


CARD = ("typer", "rich", "httpx", "tomlkit", "keyring", "platformdirs", "prompt-toolkit")


def test_what_it_is_made_of_is_what_the_project_names():
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    named = {re.match(r"[\w-]+", text).group() for text in project["dependencies"]}
    assert set(CARD) <= named
    assert not {"h11", "httpcore", "click", "requests", "aiohttp"} & named
    assert any(text.startswith("pytest") for text in project["optional-dependencies"]["test"])


@pytest.mark.parametrize("file", PACKAGE, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_module_reads_the_command_line_or_speaks_http_by_itself(file):
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add((node.module or "").partition(".")[0])
    allowed = {"blocking_io.py": {"httpcore"}}.get(file.name, set())
    assert not names & ({"argparse", "optparse", "getopt", "click", "h11", "httpcore", "http"} - allowed)


def test_r53_nothing_of_ours_runs_when_an_interpreter_starts():
    shipped = [file.name for file in (ROOT / "arawn").rglob("*") if file.suffix == ".pth"]
    assert shipped == []
    assert not (ROOT / "arawn" / "sitecustomize.py").exists()


# ---- files ----


@pytest.mark.parametrize("file", PACKAGE, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_module_says_what_it_is_about_and_ends_in_time(file):
    text = file.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert text.removeprefix("r").startswith('"""')
    assert text.count("\n") <= 500


def functions(tree):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


def called(node):
    """The names of everything called below a node."""
    calls = [each.func for each in ast.walk(node) if isinstance(each, ast.Call)]
    return {
        each.attr if isinstance(each, ast.Attribute) else each.id
        for each in calls
        if hasattr(each, "attr") or hasattr(each, "id")
    }


def asserting_names(trees):
    """The functions of the tests that assert, themselves or by those they call."""
    names = {"raises", "warns", "fail"}
    everything = [node for tree in trees for node in functions(tree)]
    while True:
        more = {node.name for node in everything if has_assert(node) or called(node) & names} - names
        if not more:
            return names
        names |= more


def has_assert(node):
    return any(isinstance(each, ast.Assert) for each in ast.walk(node))


def test_every_test_can_fail():
    trees = {file: ast.parse(file.read_text(encoding="utf-8")) for file in TESTS}
    names = asserting_names([tree for file, tree in trees.items() if not file.name.startswith("test_")])
    idle = []
    for file, tree in trees.items():
        here = names | asserting_names([tree])
        tests = [node for node in functions(tree) if node.name.startswith("test_")]
        idle += [
            f"{file.name}: {node.name}"
            for node in tests
            if not has_assert(node) and not called(node) & (here - {node.name})
        ]
    assert idle == []


def listed(*options):
    done = subprocess.run(["git", "ls-files", *options], capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        pytest.skip("not a checkout")
    return [ROOT / name for name in done.stdout.splitlines()]


def test_nothing_ignored_is_tracked():
    assert [str(file) for file in listed("--cached", "--ignored", "--exclude-standard")][:5] == []


PLACES = [
    "".join(parts)
    for parts in (("/r", "oot/"), ("/w", "ork/"), (".libr", "ary/"), ("/Use", "rs/"), ("/opt/wh", "eels"))
]


def test_no_file_names_the_machine_it_was_written_on():
    found = []
    for file in listed("--cached", "--others", "--exclude-standard"):
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        found += [f"{file.relative_to(ROOT)}: {place}" for place in PLACES if place in text]
    assert found[:5] == []
