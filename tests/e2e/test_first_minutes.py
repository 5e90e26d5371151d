"""The first five minutes the README describes, each as a newcomer would live them."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import trustme
from support.loopback import Loopback, Tunnel, answer, head

ANTHROPIC = b"".join(
    b"event: %s\ndata: %s\n\n" % (event["type"].encode(), json.dumps(event).encode())
    for event in (
        {"type": "message_start", "message": {"id": "msg_1", "model": "claude", "usage": {"input_tokens": 3}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Bonjour"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    )
)
OLLAMA = (
    b'{"model":"qwen3:8b","message":{"role":"assistant","content":"Hello from here"},"done":false}\n'
    b'{"model":"qwen3:8b","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop"}\n'
)


def streamed(body: bytes, content_type: str = "text/event-stream") -> bytes:
    return head(content_type=content_type, headers={"Content-Length": str(len(body))}) + body


def test_the_demo_shows_answers_figures_and_the_way_to_a_real_model(home):
    demo = Path(__file__).parents[2] / "scripts" / "demo.sh"

    run = subprocess.run(
        ["sh", demo, Path(sys.executable).parent], env=home.environ, cwd=home.work, capture_output=True, text=True
    )

    assert run.returncode == 0, run.stderr
    assert '\n$ arawn ask "What are you?"\nHello! ' in run.stdout
    assert '"text": "Paris"' in run.stdout
    assert "\ntotal          3 " in run.stdout
    assert "did you mean" in run.stderr
    assert "\nexit 3\n" in run.stdout
    assert run.stdout.endswith(".venv/bin/arawn backends\n")
    assert list(home.work.iterdir()) == []


def test_with_nothing_configured_the_way_to_a_backend_is_told_in_five_lines(home):
    run = home.run("ask", "hi", env={"OLLAMA_HOST": "127.0.0.1:9"})

    assert run.code == 3
    assert run.out == ""
    assert run.err.startswith("Error: no backend: no key is set and no Ollama is running\n")
    assert len(run.err.splitlines()) == 6


def test_a_key_in_the_environment_is_enough_and_the_choice_is_told(home):
    with Loopback([streamed(ANTHROPIC)]) as server:
        home.configure(f'[backends.anthropic]\nbase_url = "{server.url}"\n')
        run = home.run("ask", "hi", env={"ANTHROPIC_API_KEY": "sk-ant-test"})

    assert (run.code, run.out) == (0, "Bonjour\n")
    assert run.err == "using anthropic: ANTHROPIC_API_KEY is set\n"
    assert server.requests[0].headers["x-api-key"] == "sk-ant-test"


def test_a_running_ollama_is_found_without_any_key(home):
    tags = answer(b'{"models":[{"name":"qwen3:8b"}]}')
    with Loopback([tags], [streamed(OLLAMA, "application/x-ndjson")]) as server:
        run = home.run("ask", "hi", env={"OLLAMA_HOST": server.url})

    assert (run.code, run.out) == (0, "Hello from here\n")
    assert run.err == f"using ollama: it is running at {server.url}, and no key is set\n"
    assert json.loads(server.requests[1].body)["model"] == "qwen3:8b"


@pytest.mark.parametrize("way", ["SSL_CERT_FILE", "ca_bundle"])
def test_a_company_proxy_with_its_own_authority_is_gone_through(home, tmp_path, way):
    company, bundle = trustme.CA(), tmp_path / "company.pem"
    company.cert_pem.write_to_path(bundle)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    company.issue_cert("api.anthropic.com").configure_cert(context)
    with (
        Loopback([streamed(ANTHROPIC)], tls=context) as inspector,
        Loopback([b"HTTP/1.1 200 OK\r\n\r\n", Tunnel(inspector.port)]) as proxy,
    ):
        environ = {"ANTHROPIC_API_KEY": "sk-ant-test", "HTTPS_PROXY": proxy.url}
        if way == "ca_bundle":
            home.configure(f'[backends.anthropic]\nca_bundle = "{bundle}"\n')
        else:
            environ["SSL_CERT_FILE"] = str(bundle)
        run = home.run("-b", "anthropic", "ask", "hi", env=environ)

    assert (run.code, run.out, run.err) == (0, "Bonjour\n", "")
    assert proxy.requests[0].raw.startswith(b"CONNECT api.anthropic.com:443 HTTP/1.1\r\n")
    assert b"sk-ant-test" not in proxy.requests[0].raw
    assert inspector.requests[0].headers["host"] == "api.anthropic.com"


def test_a_company_authority_that_is_not_trusted_is_named_with_the_way_out(home):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("api.anthropic.com").configure_cert(context)
    with (
        Loopback([streamed(ANTHROPIC)], tls=context) as inspector,
        Loopback([b"HTTP/1.1 200 OK\r\n\r\n", Tunnel(inspector.port)]) as proxy,
    ):
        run = home.run("-b", "anthropic", "ask", "hi", env={"ANTHROPIC_API_KEY": "sk", "HTTPS_PROXY": proxy.url})

    assert run.code == 5
    assert run.err.startswith("Error: Cannot connect to Anthropic at https://api.anthropic.com\n")
    assert "ca_bundle" in run.err
    assert len(proxy.requests) == 1
