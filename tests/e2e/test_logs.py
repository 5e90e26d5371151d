"""The log and OpenTelemetry as a user has them: switched on in a file or by a variable, with no key in either."""

from __future__ import annotations

import json
import os
import stat
from base64 import b64encode
from urllib.parse import quote

import pytest
from support.file_keyring import environ_of
from support.http_backend import DONE, STREAM, USAGE, delta, event, streamed
from support.loopback import CHUNKED, Loopback, Stall, answer, chunked, head

SOURCES = ("env", "keyring", "file", "literal")
LOG = '[log]\nfile = "arawn.log"\n'


def canary_of(source):
    return f"cAnary/{source}+7f3aK9zQ=secret"


def lines(home, name="arawn.log"):
    return [json.loads(line) for line in (home.path / name).read_text().splitlines()]


def test_each_call_is_a_line_of_a_private_file_beside_the_configuration(home):
    busy = [answer(b'{"error": {"message": "busy"}}', 503, headers={"Retry-After": "0"})]
    with Loopback(busy, streamed(*STREAM)) as server:
        home.serve(server.url, LOG)
        home.configure((home.path / "config.toml").read_text().replace("max_retries = 0", "max_retries = 1"))
        assert home.run("ask", "hi").code == 0
    failed, done = lines(home)
    assert (failed["event"], failed["error_type"], failed["retry_count"]) == ("llm_call_failed", "OverloadedError", 0)
    assert (done["event"], done["retry_count"], done["input_tokens"]) == ("cost_tracked", 1, 7)
    assert done["session"] == failed["session"] != ""
    assert stat.S_IMODE((home.path / "arawn.log").stat().st_mode) == 0o600


def test_a_variable_switches_it_on_for_one_run(home, tmp_path):
    with Loopback(streamed(*STREAM)) as server:
        home.serve(server.url)
        home.run("ask", "hi")
        home.run("ask", "hi", env={"ARAWN_LOG__FILE": str(tmp_path / "one.log")})
    assert len((tmp_path / "one.log").read_text().splitlines()) == 1
    assert not (home.path / "arawn.log").exists()


def test_embeddings_are_logged_too(home):
    body = b'{"data": [{"embedding": [0.5, 0.25]}], "usage": {"prompt_tokens": 3}}'
    with Loopback([answer(body)]) as server:
        home.serve(server.url, f'[embeddings]\nbackend = "here"\nmodel = "e-1"\n{LOG}')
        assert home.run("embed", "a heron").code == 0
    (line,) = lines(home)
    assert (line["gen_ai.operation.name"], line["model"], line["input_tokens"]) == ("embeddings", "e-1", 3)


def test_a_log_that_cannot_be_written_is_one_warning_and_the_answer_comes(home):
    (home.path / "arawn.log").mkdir()
    with Loopback(streamed(*STREAM)) as server:
        home.serve(server.url, LOG)
        run = home.run("ask", "hi")
    assert (run.code, run.out) == (0, "Good day\n")
    assert run.err.count("Warning: the log ") == 1


@pytest.mark.parametrize("source", SOURCES)
def test_r14_no_byte_of_log_or_database_holds_a_key_though_servers_repeat_it_and_content_is_told(
    home, tmp_path, source
):
    secret = canary_of(source)
    home.environ |= environ_of(tmp_path) | {"THE_KEY": canary_of("env")}
    (tmp_path / "ring.json").write_text(json.dumps({"arawn/here": canary_of("keyring")}))
    key_file = tmp_path / "key"
    key_file.write_text(canary_of("file"))
    key_file.chmod(0o600)
    reference = {
        "env": "$env:THE_KEY",
        "keyring": "$keyring:here",
        "file": f"$file:{key_file}",
        "literal": canary_of("literal"),
    }[source]
    tables = (
        f'api_key = "{reference}"\nheaders = {{ authorization = "Basic {canary_of("header")}" }}\n'
        f'query = {{ api_key = "{canary_of("query")}" }}\nauth_header = "x-key"\n{LOG}content = true\n'
    )
    words = " ".join((secret, quote(secret, safe=""), b64encode(secret.encode()).decode(), canary_of("header")))
    echo = json.dumps({"error": {"message": f"no: {words} {canary_of('query')}", "code": secret}}).encode()
    scripts = [
        *([answer(echo, status, headers={"x-request-id": secret})] for status in (400, 401, 429, 500)),
        [answer(b"<html>" + secret.encode(), content_type="text/html")],
        [head(headers=CHUNKED), chunked(delta("x"), event(error={"message": words, "code": secret}))],
        streamed(delta(f"it is {secret}"), delta(finish_reason="stop"), USAGE, DONE),
    ]
    with Loopback(*scripts) as server:
        home.serve(server.url, tables)
        for _ in scripts:
            home.run("ask", "--no-save", f"is it {secret}?")
    assert [line["event"] for line in lines(home)] == ["llm_call_failed"] * 6 + ["cost_tracked"]
    kept = [path for path in home.path.rglob("*") if path.is_file() and path.name != "config.toml"]
    assert {"arawn.log", "arawn.db"} <= {path.name for path in kept}
    found = b"".join(path.read_bytes() for path in kept)
    for form in (b"7f3aK9zQ", b"cAnary", b64encode(secret.encode())[4:-4], quote(secret, safe="").encode()):
        assert form not in found
    assert b"is it \\u2026?" in found


def test_opentelemetry_is_told_where_the_environment_says(home):
    with Loopback([answer(b"")]) as collector, Loopback(streamed(*STREAM)) as server:
        home.serve(server.url, "[log]\notel = true\n")
        run = home.run("ask", "hi", env={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})
    assert (run.code, run.out, run.err) == (0, "Good day\n", "")
    assert sorted(request.target for request in collector.requests) == ["/v1/metrics", "/v1/traces"]


def test_a_collector_that_hangs_costs_two_seconds_and_a_warning(home):
    with Loopback([Stall()]) as collector, Loopback(streamed(*STREAM)) as server:
        home.serve(server.url, "[log]\notel = true\n")
        run = home.run("ask", "hi", env={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})
    assert (run.code, run.out) == (0, "Good day\n")
    assert run.err.startswith("Warning: OpenTelemetry was not told everything: ")


def test_without_the_extra_nothing_is_sent_and_one_line_names_it(home, tmp_path):
    folder = tmp_path / "without"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("import sys\nsys.modules['opentelemetry'] = None\n")
    with Loopback(streamed(*STREAM)) as server:
        home.serve(server.url, "[log]\notel = true\n")
        paths = os.pathsep.join(filter(None, (str(folder), home.environ.get("PYTHONPATH"))))
        run = home.run("ask", "hi", env={"PYTHONPATH": paths})
    assert (run.code, run.out) == (3, "")
    assert run.err.startswith("Error: log.otel needs the extra 'otel'\n")
    assert server.requests == []
