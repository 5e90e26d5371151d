"""``arawn audit``, and what the commands that change something leave in it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import stat
import time
from contextlib import closing

import pytest
from support.file_keyring import environ_of
from support.processes import Home

from arawn.store.audit import Audit
from arawn.store.database import Database

SECRET = "cAnary/+7f3aK9zQ=secret"
MARKED = "sk-ant-api03-cAnaryabcdefgh12345678"


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def done(home, *words, **options):
    run = home.run(*words, **options)
    assert run.code == 0, run
    return run


def entries(home):
    return json.loads(done(home, "audit", "--json").out)


def told(home):
    """Action, subject, before and after of every entry."""
    return [(each["action"], each["subject"], each["before"], each["after"]) for each in entries(home)]


def on_disk(home):
    """Every byte that arawn keeps, but for the configuration itself."""
    files = [path for path in home.path.rglob("*") if path.is_file() and path.name != "config.toml"]
    return b"".join(path.read_bytes() for path in files)


def editor(home, script):
    path = home.work / "editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return {"EDITOR": str(path), "VISUAL": ""}


def test_before_anything_was_changed_it_says_so_and_makes_no_file(home):
    run = done(home, "audit")
    assert (run.out, run.err) == ("", "nothing was changed yet\n")
    assert done(home, "audit", "--json").out == "[]\n"
    assert list(home.path.iterdir()) == []


def test_looking_at_the_configuration_makes_no_database(home):
    home.configure('[llm]\nbackend = "groq"\n')
    for words in (("show",), ("get", "llm.backend"), ("validate",), ("path",), ("trust", "--list")):
        done(home, "config", *words)
    assert [path.name for path in home.path.iterdir()] == ["config.toml"]


def test_set_and_unset_are_recorded_by_what_they_are_about(home):
    for words in (
        ("set", "budget.limit", "20"),
        ("set", "budget.limit", "20"),
        ("set", "budget.limit", "25.5"),
        ("set", "llm.fallback", '["groq", "ollama"]'),
        ("set", "backends.groq.rpm", "30"),
        ("set", "backends.groq.extra", "{seed = 7}"),
        ("set", "backends.groq.api_key", "$env:MY_KEY"),
        ("set", "cache.enabled", "true"),
        ("unset", "budget.limit"),
        ("unset", "backends.groq"),
    ):
        done(home, "config", *words)
    assert told(home) == [
        ("budget", "budget.limit", None, "20"),
        ("budget", "budget.limit", "20", "25.5"),
        ("backend", "llm.fallback", None, '["groq", "ollama"]'),
        ("backend", "backends.groq.rpm", None, "30"),
        ("backend", "backends.groq.extra", None, '{seed = "(not shown)"}'),
        ("backend", "backends.groq.api_key", None, '"$env:MY_KEY"'),
        ("config", "cache.enabled", None, "true"),
        ("budget", "budget.limit", "25.5", None),
        ("backend", "backends.groq.rpm", "30", None),
        ("backend", "backends.groq.extra", '{seed = "(not shown)"}', None),
        ("backend", "backends.groq.api_key", '"$env:MY_KEY"', None),
    ]


def test_what_fails_is_not_recorded(home):
    done(home, "config", "set", "llm.model", "m-1")
    for words in (
        ("set", "budget.limit", "lots"),
        ("set", "llm.modle", "m-2"),
        ("set", "backends.groq.api_key", SECRET),
        ("set", "llm.model", "what UTF-8 cannot hold: \udcff"),
        ("unset", "llm.backend"),
        ("trust",),
        ("trust", "nowhere.toml", "--revoke"),
    ):
        assert home.run("config", *words).code in (2, 3), words
    (home.path / "config.toml").write_text("[[[")
    assert home.run("config", "set", "llm.model", "m-2").code == 3
    assert home.run("config", "edit", env=editor(home, "exit 0")).code == 3
    (home.path / "config.toml").unlink()
    assert told(home) == [("backend", "llm.model", None, '"m-1"')]


def test_another_file_than_the_users_own_is_named(home):
    other = home.work / "other.toml"
    done(home, "--config", str(other), "config", "set", "cache.ttl", "60")
    done(home, "config", "unset", "cache.ttl", env={"ARAWN_CONFIG": str(other)})
    subject = f"cache.ttl in {other}"
    assert told(home) == [("config", subject, None, "60"), ("config", subject, "60", None)]


def test_who_and_when_are_recorded(home):
    began = time.time()
    done(home, "config", "set", "cache.ttl", "60", env={"SUDO_USER": "alice", "USER": "mallory"})
    (entry,) = entries(home)
    assert entry["who"].endswith(" (sudo: alice)")
    assert "mallory" not in entry["who"]
    assert entry["time"].endswith("Z")
    assert began - 1 <= time.mktime(time.strptime(entry["time"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone <= time.time()


def test_edit_records_the_keys_it_changed(home):
    home.configure('[llm]\nbackend = "groq"\n# a comment\n')
    script = 'printf "[llm]\\nbackend = \\"openai\\"\\ntemperature = 1\\n[budget]\\nlimit = 5\\n" > "$1"'
    done(home, "config", "edit", env=editor(home, script))
    done(home, "config", "edit", env=editor(home, 'echo "# only words" >> "$1"'))
    assert told(home) == [
        ("backend", "llm.backend", '"groq"', '"openai"'),
        ("config", "llm.temperature", None, "1"),
        ("budget", "budget.limit", None, "5"),
    ]


def test_edit_records_the_hash_of_what_cannot_be_parsed(home):
    before = b'[llm]\nbackend = "groq"\n'
    home.configure(before.decode())
    run = home.run("config", "edit", env=editor(home, 'echo "[[[" >> "$1"'))
    assert run.code == 3
    hashes = [f'"sha256:{hashlib.sha256(content).hexdigest()}"' for content in (before, before + b"[[[\n")]
    assert told(home) == [("config", str(home.path / "config.toml"), *hashes)]


def test_trust_and_its_end_are_recorded_with_the_hash(home):
    file = home.work / ".arawn.toml"
    file.write_text('[llm]\nmodel = "m"\n')
    digest = f'"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"'
    for words in ((), (), ("--revoke",)):
        done(home, "config", "trust", *words)
    assert home.run("config", "trust", "--revoke").code == 2
    assert told(home) == [("trust", str(file), None, digest), ("trust", str(file), digest, None)]


def test_r14_secrets_are_recorded_by_name_and_place_and_never_by_value(home, tmp_path):
    home.environ |= environ_of(tmp_path)
    there, elsewhere = "https://api.groq.com", "https://relay.example"
    done(home, "secrets", "set", "groq", stdin=SECRET.encode())
    done(home, "secrets", "set", "groq", stdin=MARKED.encode())
    done(home, "secrets", "allow", "groq", "--for", f"{elsewhere}/v1")
    done(home, "secrets", "allow", "groq", "--for", f"{elsewhere}/v2")
    done(home, "secrets", "delete", "groq")
    assert home.run("secrets", "delete", "groq").code == 2
    assert told(home) == [
        ("secret", "groq", None, f'["{there}"]'),
        ("secret", "groq", f'["{there}"]', f'["{there}"]'),
        ("secret", "groq", f'["{there}"]', f'["{there}", "{elsewhere}"]'),
        ("secret", "groq", f'["{there}", "{elsewhere}"]', None),
    ]
    assert b"cAnary" not in on_disk(home)


def test_r14_no_key_reaches_the_audit_log_from_wherever_it_stands_in_a_file(home):
    text = f"""\
api_key = "{SECRET}"
[backends.b]
adapter = "openai_chat"
base_url = "https://me:{SECRET}@llm.example/v1"
proxy = "http://me:{SECRET}@proxy.example:3128"
api_key = "{SECRET}"
api_kye = "{SECRET}"
auth_prefix = "Bearer {MARKED}"
headers = {{ authorization = "Basic {SECRET}", x-team = "{SECRET}" }}
query = {{ key = "{SECRET}" }}
extra = {{ nested = [{{ "{MARKED}" = "{SECRET}" }}] }}
[[backends.b.replies]]
tool_call = {{ name = "x", arguments = {{ token = "{SECRET}" }} }}
[backends."{MARKED}"]
api_key = "$ {SECRET}"
headers = "{SECRET}"
extra = ["{SECRET}"]
rpm = "{SECRET}"
[embeddings.b]
api_key = 4711081547110815
[llm]
backend = {{ inner = "{SECRET}" }}
"""
    new = home.work / "new.toml"
    new.write_text(text)
    home.run("config", "edit", env=editor(home, f'cat "{new}" > "$1"'))
    home.run("config", "edit", env=editor(home, 'echo > "$1"'))
    found = told(home)
    assert len(found) >= 24
    assert ("backend", "backends.b.api_key", None, '"(literal)"') in found
    assert "cAnary" not in repr(found)
    assert "47110815" not in repr(found)
    assert b"cAnary" not in on_disk(home)


def test_the_table_has_local_times_and_short_values_the_newest_last(home):
    done(home, "config", "set", "llm.system", "long " * 100)
    done(home, "config", "set", "budget.limit", "5", env={"TZ": "UTC"})
    run = done(home, "audit", env={"TZ": "Pacific/Kiritimati"})
    header, first, second = run.out.splitlines()
    assert header.split() == ["time", "who", "action", "what", "change"]
    assert "  config  llm.system  " in first
    assert first.endswith("…")
    assert len(first) < 140
    assert second.endswith("budget.limit  nothing → 5")
    at = time.strptime(entries(home)[1]["time"], "%Y-%m-%dT%H:%M:%SZ")
    shown = time.strptime(second[:16], "%Y-%m-%d %H:%M")
    assert (time.mktime(shown) - time.mktime(at)) // 60 in (14 * 60 - 1, 14 * 60)


def test_entries_are_chosen_by_time_kind_and_number(home):
    with Database(str(home.path / "arawn.db")) as database:
        days = [1_790_000_000.0 + 86_400 * day for day in range(3)]
        audit = Audit(database, who="ann", now=lambda: days.pop(0))
        audit.record("config", "a")
        audit.record("budget", "b")
        audit.record("config", "c")
    subjects = {
        words: [each["subject"] for each in json.loads(done(home, "audit", "--json", *words).out)]
        for words in ((), ("-n", "1"), ("--action", "config"), ("--since", "2026-09-22"), ("--since", "1h"))
    }
    assert list(subjects.values()) == [["a", "b", "c"], ["c"], ["a", "c"], ["b", "c"], []]
    assert done(home, "audit", "-n", "2").err == "there are older ones: -n 4 shows more\n"
    assert done(home, "audit", "--since", "1h").err == "no such change is written down\n"
    wrong = home.run("audit", "--since", "soon")
    assert (wrong.code, wrong.out) == (2, "")
    assert home.run("audit", "--action", "nothing").code == 2


def test_a_subject_cannot_write_to_the_terminal(home):
    with Database(str(home.path / "arawn.db")) as database:
        Audit(database, who="a\x1b]0;x\x07").record("trust", "/tmp/\x1b[2J\n.toml")
    run = done(home, "audit")
    assert "\x1b" not in run.out
    assert len(run.out.splitlines()) == 2


def test_a_change_stands_although_it_cannot_be_recorded_and_a_warning_tells_so(home):
    (home.path / "arawn.db").mkdir()
    run = done(home, "config", "set", "llm.model", "m-1")
    assert run.err.startswith("Warning: this change is not in the audit log: ")
    assert "arawn.db" in run.err
    assert 'model = "m-1"' in (home.path / "config.toml").read_text()


def test_a_log_that_was_lost_while_the_change_was_made_is_told_too(home):
    done(home, "config", "set", "llm.model", "m-1")
    with closing(sqlite3.connect(home.path / "arawn.db")) as connection:
        connection.execute("DROP TABLE audit")
    run = done(home, "config", "set", "llm.model", "m-2")
    assert "Warning: this change is not in the audit log: " in run.err
    assert 'model = "m-2"' in (home.path / "config.toml").read_text()


KILLER = """\
import os, signal, sys

def watch(event, arguments):
    renames = event == "os.rename" and str(arguments[1]).endswith("config.toml")
    syncs = event == "open" and arguments[0] == os.environ["ARAWN_HOME"]
    if renames and os.environ["KILLED"] == "before" or syncs and os.environ["KILLED"] == "after":
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
@pytest.mark.parametrize(("killed", "value"), [("before", "1"), ("after", "2")])
def test_a_process_killed_at_the_change_leaves_no_entry_for_what_was_not_changed(home, tmp_path, killed, value):
    folder = tmp_path / "killer"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(KILLER)
    done(home, "config", "set", "cache.ttl", "1")
    run = home.run("config", "set", "cache.ttl", "2", env={"PYTHONPATH": str(folder), "KILLED": killed})
    assert run.code == -signal.SIGKILL
    assert done(home, "config", "get", "cache.ttl").out == f"{value}\n"
    done(home, "config", "set", "cache.ttl", "3")
    assert told(home) == [("config", "cache.ttl", None, "1"), ("config", "cache.ttl", value, "3")]


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_the_log_is_its_owners_alone(home):
    done(home, "config", "set", "llm.model", "m-1")
    assert stat.S_IMODE((home.path / "arawn.db").stat().st_mode) == 0o600
