"""Whom TLS trusts, against a server whose authority no one knows."""

from __future__ import annotations

import shutil
import ssl
import subprocess

import pytest
import trustme
from support.loopback import Loopback, answer
from support.transports import EVERY_TRANSPORT, fetched

from arawn.errors import ConfigError, ConnectionFailedError
from arawn.network.routes import Route
from arawn.network.tls import key_log_problem, trust


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def pem(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture(scope="module")
def folder(pem, tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to hash the name of a certificate")
    hashed = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", pem], capture_output=True, text=True, check=True
    )
    path = tmp_path_factory.mktemp("hashed")
    shutil.copy(pem, path / f"{hashed.stdout.strip()}.0")
    return path


def speaking_tls(authority, *names):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(names or ("127.0.0.1", "localhost"))).configure_cert(context)
    return Loopback([answer(b'{"secure": true}')], tls=context)


@EVERY_TRANSPORT
def test_r26_an_unknown_authority_is_refused_and_the_way_out_is_told(runner, authority):
    with speaking_tls(authority) as server, pytest.raises(ConnectionFailedError) as caught:
        runner.play(lambda transport: fetched(transport, server.url))
    assert not server.requests
    assert caught.value.message == f"Cannot connect to Ollama at {server.url}"
    assert "not trusted" in caught.value.hints[0]
    assert "ca_bundle" in caught.value.hints[1]
    assert not caught.value.transient


@EVERY_TRANSPORT
@pytest.mark.parametrize("place", ["ca_bundle", "SSL_CERT_FILE", "SSL_CERT_DIR", "ca_bundle folder"])
def test_r26_an_authority_named_in_one_of_three_places_is_trusted(runner, authority, pem, place, request):
    where = str(pem) if place in ("ca_bundle", "SSL_CERT_FILE") else str(request.getfixturevalue("folder"))
    route = Route({}, ca_bundle=where) if place.startswith("ca_bundle") else Route({place: where})
    with speaking_tls(authority) as server:
        assert runner.play(lambda transport: fetched(transport, server.url), route) == (200, b'{"secure": true}')


@EVERY_TRANSPORT
def test_r26_the_store_of_the_system_is_trusted(runner, authority, pem, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))  # to OpenSSL, the place of its default store
    with speaking_tls(authority) as server:
        assert runner.play(lambda transport: fetched(transport, server.url))[0] == 200


@EVERY_TRANSPORT
def test_r26_insecure_tls_trusts_anyone(runner, authority):
    with speaking_tls(authority, "other.example") as server:
        assert runner.play(lambda transport: fetched(transport, server.url), Route({}, insecure_tls=True))[0] == 200


@EVERY_TRANSPORT
def test_r26_a_certificate_for_another_name_is_refused_without_talk_of_authorities(runner, authority, pem):
    with speaking_tls(authority, "other.example") as server, pytest.raises(ConnectionFailedError) as caught:
        runner.play(lambda transport: fetched(transport, server.url), Route({}, ca_bundle=str(pem)))
    assert "mismatch" in caught.value.hints[0]
    assert "base_url" in caught.value.hints[1]


@pytest.mark.parametrize("place", ["ca_bundle", "SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_r26_a_missing_file_of_certificates_is_named(place, tmp_path):
    missing = str(tmp_path / "missing.pem")
    with pytest.raises(ConfigError) as caught:
        trust({} if place == "ca_bundle" else {place: missing}, missing if place == "ca_bundle" else None)
    assert caught.value.message == f"{place}: {missing}: there is no such file"


def test_r26_a_file_without_certificates_is_named(tmp_path):
    path = tmp_path / "not.pem"
    path.write_text("hello")
    with pytest.raises(ConfigError, match="not a file of PEM certificates"):
        trust({}, str(path))


def test_r26_where_the_system_has_no_store_a_bundle_stands_in(tmp_path, monkeypatch):
    empty = tmp_path / "empty.pem"
    empty.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(empty))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    assert trust({}).cert_store_stats()["x509_ca"] > 50


@EVERY_TRANSPORT
def test_plain_http_never_sets_up_tls(runner):
    with Loopback([answer(b"{}")]) as server:
        route = Route({"SSL_CERT_FILE": "/nowhere/ca.pem"})
        assert runner.play(lambda transport: fetched(transport, server.url), route) == (200, b"{}")


@EVERY_TRANSPORT
def test_an_answer_that_came_in_a_record_behind_another_never_becomes_the_next_one(runner, authority, pem):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with Loopback([answer(b'{"a": 1}'), answer(b'{"stale": 1}')], [answer(b'{"b": 2}')], tls=context) as server:

        async def story(transport):
            return [await fetched(transport, server.url) for _ in range(2)]

        found = runner.play(story, Route({}, ca_bundle=str(pem)))
    assert found == [(200, b'{"a": 1}'), (200, b'{"b": 2}')]
    assert server.connections == 2


# ---- SSLKEYLOGFILE ----


@EVERY_TRANSPORT
def test_a_file_for_keys_that_cannot_be_written_does_not_stop_a_call(runner, authority, pem, monkeypatch, tmp_path):
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "missing" / "keys"))
    with speaking_tls(authority) as server:
        route = Route({"SSLKEYLOGFILE": str(tmp_path / "missing" / "keys")}, ca_bundle=str(pem))
        assert runner.play(lambda transport: fetched(transport, server.url), route)[0] == 200


@EVERY_TRANSPORT
def test_one_that_can_be_written_is_filled(runner, authority, pem, tmp_path):
    keys = tmp_path / "keys"
    with speaking_tls(authority) as server:
        route = Route({"SSLKEYLOGFILE": str(keys)}, ca_bundle=str(pem))
        runner.play(lambda transport: fetched(transport, server.url), route)
    assert "TRAFFIC_SECRET" in keys.read_text()


def test_what_is_wrong_with_that_file_is_one_sentence(tmp_path):
    missing = str(tmp_path / "missing" / "keys")
    said = f"SSLKEYLOGFILE: {missing}: No such file or directory; TLS keys are not logged"
    assert key_log_problem({"SSLKEYLOGFILE": missing}) == said
    assert key_log_problem({"SSLKEYLOGFILE": str(tmp_path / "keys")}) == ""
    assert key_log_problem({}) == ""


def test_the_context_is_what_python_calls_its_default(monkeypatch):
    monkeypatch.delenv("SSLKEYLOGFILE", raising=False)
    ours, usual = trust({}), ssl.create_default_context()
    assert (ours.verify_mode, ours.check_hostname) == (usual.verify_mode, usual.check_hostname)
    assert (ours.verify_flags, ours.options) == (usual.verify_flags, usual.options)
