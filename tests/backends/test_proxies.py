"""Which proxy leads where: the table of the environment, and the way through real ones."""

from __future__ import annotations

import importlib.util
import ssl

import pytest
import trustme
from engines import BOTH_ENGINES, fetched
from loopback import Loopback, Tunnel, answer, head

from arawn.backends.proxies import is_loopback, proxy_for, without_password
from arawn.backends.transport import Route
from arawn.errors import ConfigError, ConnectionFailedError

FAR = "https://api.example.com/v1"
ALL = {"HTTPS_PROXY": "http://s:1", "HTTP_PROXY": "http://p:2", "ALL_PROXY": "http://a:3"}


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        (FAR, {}, None),
        (FAR, ALL, "http://s:1"),
        ("http://api.example.com", ALL, "http://p:2"),
        (FAR, {"ALL_PROXY": "socks5://a:3"}, "socks5://a:3"),
        (FAR, {"https_proxy": "http://lower:1", "HTTPS_PROXY": "http://upper:1"}, "http://lower:1"),
        (FAR, {"https_proxy": "", "HTTPS_PROXY": "http://upper:1"}, "http://upper:1"),
        (FAR, {"HTTPS_PROXY": "proxy:3128"}, "http://proxy:3128"),
        (FAR, {"HTTPS_PROXY": "http://user:pass@proxy:3128"}, "http://user:pass@proxy:3128"),
        (FAR, {**ALL, "NO_PROXY": "*"}, None),
        (FAR, {**ALL, "NO_PROXY": "example.com"}, None),
        (FAR, {**ALL, "NO_PROXY": ".example.com"}, None),
        (FAR, {**ALL, "NO_PROXY": "*.example.com"}, None),
        (FAR, {**ALL, "no_proxy": "other.org, API.EXAMPLE.COM"}, None),
        (FAR, {**ALL, "NO_PROXY": "api.example.com:443"}, None),
        (FAR, {**ALL, "NO_PROXY": "api.example.com:8443"}, "http://s:1"),
        (FAR, {**ALL, "NO_PROXY": "ample.com"}, "http://s:1"),
        (FAR, {**ALL, "NO_PROXY": "10.0.0.0/8, "}, "http://s:1"),
        ("http://10.1.2.3:8000", {**ALL, "NO_PROXY": "10.0.0.0/8"}, None),
        ("http://10.1.2.3:8000", {**ALL, "NO_PROXY": "10.1.2.3"}, None),
        ("http://[fd00::1]:8000", {**ALL, "NO_PROXY": "fd00::/8"}, None),
        ("http://[fd00::1]:8000", {**ALL, "NO_PROXY": "fd00::1"}, None),
    ],
)
def test_r25_the_environment_names_the_proxy(url, environ, proxy):
    assert proxy_for(url, environ) == proxy


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "localhost.", "ollama.localhost", "127.0.0.1", "127.8.9.10", "[::1]"]
)
@pytest.mark.parametrize("explicit", [None, "http://explicit:1"])
def test_r25_a_loopback_host_never_has_a_proxy(host, explicit):
    environ = dict.fromkeys((*ALL, *(name.lower() for name in ALL)), "http://proxy:1")
    assert proxy_for(f"http://{host}:11434/api", environ, explicit) is None
    assert proxy_for(f"https://{host}:11434/api", environ, explicit) is None


@pytest.mark.parametrize(
    "host", ["localhost.example.com", "127.0.0.1.example.com", "10.0.0.1", "notlocalhost", "", "128.0.0.1"]
)
def test_r25_what_only_looks_like_loopback_is_not(host):
    assert not is_loopback(host)


def test_an_explicit_proxy_stands_above_the_environment():
    assert proxy_for(FAR, {**ALL, "NO_PROXY": "*"}, "http://mine:1") == "http://mine:1"
    assert proxy_for(FAR, ALL, "") is None


@pytest.mark.parametrize("bad", ["socks4://p:1", "http://", "ftp://p", "http://p:99999", "http://p:0"])
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(bad):
    with pytest.raises(ConfigError, match="HTTPS_PROXY: not the address of a proxy"):
        proxy_for(FAR, {"HTTPS_PROXY": bad})


def test_a_proxy_is_shown_without_its_password():
    assert without_password("http://user:pa%40ss@proxy:3128") == "http://***@proxy:3128"
    assert without_password("socks5://proxy:1080") == "socks5://proxy:1080"


# ---- The way through ----


@BOTH_ENGINES
def test_http_goes_through_the_proxy_with_the_whole_address(engine):
    with Loopback([answer(b"{}")]) as proxy:
        route = Route({"HTTP_PROXY": f"http://us%40er:pa%3Ass@127.0.0.1:{proxy.port}"})
        assert engine.play(lambda transport: fetched(transport, "http://far.example/v1"), route) == (200, b"{}")
    [request] = proxy.requests
    assert (request.method, request.target) == ("GET", "http://far.example/v1")
    assert request.headers["host"] == "far.example"
    assert request.headers["proxy-authorization"] == "Basic dXNAZXI6cGE6c3M="


@BOTH_ENGINES
def test_https_goes_through_a_tunnel_and_the_proxy_sees_no_header_of_ours(engine, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("far.example").configure_cert(context)
    with (
        Loopback([answer(b"{}")], tls=context) as server,
        Loopback([head(content_type=""), Tunnel(server.port)]) as proxy,
    ):
        route = Route({"HTTPS_PROXY": proxy.url}, ca_bundle=str(tmp_path / "ca.pem"))
        assert engine.play(lambda transport: fetched(transport, "https://far.example/v1"), route) == (200, b"{}")
    assert [(it.method, it.target) for it in proxy.requests] == [("CONNECT", "far.example:443")]
    assert [it.target for it in server.requests] == ["/v1"]


@BOTH_ENGINES
def test_a_proxy_that_refuses_is_named_without_its_password(engine):
    with Loopback([answer(status=407)]) as proxy:
        route = Route({"HTTPS_PROXY": f"http://user:canary@127.0.0.1:{proxy.port}"})
        with pytest.raises(ConnectionFailedError) as caught:
            engine.play(lambda transport: fetched(transport, "https://far.example/v1"), route)
    assert caught.value.message == "Cannot connect to Ollama at https://far.example"
    assert any("407" in hint for hint in caught.value.hints)
    assert caught.value.hints[-1] == f"The way leads through the proxy http://***@127.0.0.1:{proxy.port}."
    assert not caught.value.transient


@BOTH_ENGINES
def test_r25_a_call_to_loopback_does_not_reach_the_proxy(engine):
    with Loopback([answer(b"{}")]) as server, Loopback([answer(b"proxied")]) as proxy:
        route = Route(dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY"), proxy.url), proxy=proxy.url)
        assert engine.play(lambda transport: fetched(transport, server.url), route) == (200, b"{}")
    assert not proxy.connections


@BOTH_ENGINES
def test_r25_a_netrc_is_not_read(engine, tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login someone password canary\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with Loopback([answer(b"{}")]) as server:
        engine.play(lambda transport: fetched(transport, server.url))
    assert "authorization" not in server.requests[0].headers


@pytest.mark.skipif(importlib.util.find_spec("socksio") is not None, reason="socksio is installed")
@BOTH_ENGINES
def test_a_socks_proxy_without_its_extra_is_one_clear_line(engine):
    with pytest.raises(ConfigError, match="needs the extra 'socks'") as caught:
        engine.play(lambda transport: fetched(transport, FAR), Route({"ALL_PROXY": "socks5://127.0.0.1:1"}))
    assert caught.value.hints == ("Install it: pip install 'arawn[socks]'",)
