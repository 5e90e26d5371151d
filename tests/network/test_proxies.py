"""Which proxy leads where: the table of the environment, and the way through real ones."""

from __future__ import annotations

import importlib.util
import socket
import ssl
import threading

import pytest
import trustme
from support.loopback import Loopback, Tunnel, answer, head
from support.transports import EVERY_TRANSPORT, fetched

from arawn.config.sources import load
from arawn.errors import ConfigError, ConnectionFailedError
from arawn.network.proxies import is_loopback, proxy_for, without_password
from arawn.network.routes import Route, server_at, without_zone

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
        (FAR, {**ALL, "NO_PROXY": "other.org api.example.com"}, None),
        (FAR, {**ALL, "NO_PROXY": "other.org\tapi.example.com ,"}, None),
        (FAR, {**ALL, "NO_PROXY": "other.org api.example"}, "http://s:1"),
        (FAR, {**ALL, "NO_PROXY": "api.example.com."}, None),
        (FAR, {**ALL, "NO_PROXY": ".example.com."}, None),
        (FAR, {**ALL, "NO_PROXY": "api.example.com.:443"}, None),
        ("https://api.example.com./v1", {**ALL, "NO_PROXY": "api.example.com"}, None),
        (FAR, {"ALL_PROXY": "socks://a:3"}, "socks5://a:3"),
        (FAR, {"ALL_PROXY": "SOCKS://a:3"}, "socks5://a:3"),
        (FAR, {"HTTPS_PROXY": "HTTP://p:3"}, "http://p:3"),
        ("HTTP://api.example.com", ALL, "http://p:2"),
        ("http://[fe80::1%eth0]:8000", {**ALL, "NO_PROXY": "fe80::1%eth0"}, None),
        ("http://10.1.2.3:8000", {**ALL, "NO_PROXY": "10.0.0.0/8"}, None),
        ("http://10.1.2.3:8000", {**ALL, "NO_PROXY": "10.1.2.3"}, None),
        ("http://[fd00::1]:8000", {**ALL, "NO_PROXY": "fd00::/8"}, None),
        ("http://[fd00::1]:8000", {**ALL, "NO_PROXY": "fd00::1"}, None),
    ],
)
def test_r25_the_environment_names_the_proxy(url, environ, proxy):
    assert proxy_for(url, environ) == proxy


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST", "localhost.", "ollama.localhost", "127.0.0.1", "127.8.9.10", "[::1]"),
        *("[::ffff:127.0.0.1]", "[::ffff:7f08:90a]"),
    ],
)
@pytest.mark.parametrize("explicit", [None, "http://explicit:1"])
def test_r25_a_loopback_host_never_has_a_proxy(host, explicit):
    environ = dict.fromkeys((*ALL, *(name.lower() for name in ALL)), "http://proxy:1")
    assert proxy_for(f"http://{host}:11434/api", environ, explicit) is None
    assert proxy_for(f"https://{host}:11434/api", environ, explicit) is None


@pytest.mark.parametrize(
    "host",
    ["localhost.example.com", "127.0.0.1.example.com", "10.0.0.1", "notlocalhost", "", "128.0.0.1", "::ffff:10.0.0.1"],
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


def test_an_empty_proxy_in_the_table_of_a_backend_switches_it_off(tmp_path):
    (tmp_path / "config.toml").write_text(
        '[backends.near]\nadapter = "openai_chat"\nbase_url = "http://near.example/v1"\nproxy = ""\n'
    )
    settings = load(environ={"ARAWN_HOME": str(tmp_path), "HTTP_PROXY": "http://p:2"}, cwd=str(tmp_path))
    table = settings.backend("near")
    assert table.proxy == ""
    assert proxy_for(table.base_url, settings.environ, table.proxy) is None


@pytest.mark.parametrize(
    "url",
    ["HTTP://near.example/v1", "Https://near.example", "http://[fe80::1%eth0]:80/v1", "http://[fe80::1%25eth0]/v1"],
)
def test_a_table_may_name_an_address_in_upper_case_or_with_a_zone(tmp_path, url):
    (tmp_path / "config.toml").write_text(f'[backends.near]\nadapter = "openai_chat"\nbase_url = "{url}"\n')
    settings = load(environ={"ARAWN_HOME": str(tmp_path)}, cwd=str(tmp_path))
    assert settings.backend("near").base_url == url


@pytest.mark.parametrize("value", ["http", "ftp://p:1", " ", "http://"])
def test_a_table_names_no_other_proxy(tmp_path, value):
    table = f'[backends.near]\nadapter = "openai_chat"\nbase_url = "http://near.example"\nproxy = "{value}"\n'
    (tmp_path / "config.toml").write_text(table)
    with pytest.raises(ConfigError, match="expected a proxy address"):
        load(environ={"ARAWN_HOME": str(tmp_path)}, cwd=str(tmp_path)).backend("near")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://[fe80::1%eth0]:80/v1", "fe80::1%eth0"),
        ("http://[fe80::1%25eth0]/v1", "fe80::1%eth0"),
        ("HTTP://[FD00::1]/a%20b", "fd00::1"),
        ("http://near.example/%7Bmodel%7D", "near.example"),
    ],
)
def test_a_zone_is_for_this_computer_alone(url, host):
    assert server_at(url).host == host
    assert "eth0" not in without_zone(url)
    assert without_zone(url).rpartition("/")[2] == url.rpartition("/")[2]


# ---- The way through ----


@EVERY_TRANSPORT
def test_http_goes_through_the_proxy_with_the_whole_address(runner):
    with Loopback([answer(b"{}")]) as proxy:
        route = Route({"HTTP_PROXY": f"http://us%40er:pa%3Ass@127.0.0.1:{proxy.port}"})
        assert runner.play(lambda transport: fetched(transport, "http://far.example/v1"), route) == (200, b"{}")
    [request] = proxy.requests
    assert (request.method, request.target) == ("GET", "http://far.example/v1")
    assert request.headers["host"] == "far.example"
    assert request.headers["proxy-authorization"] == "Basic dXNAZXI6cGE6c3M="


@EVERY_TRANSPORT
def test_https_goes_through_a_tunnel_and_the_proxy_sees_no_header_of_ours(runner, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("far.example").configure_cert(context)
    with (
        Loopback([answer(b"{}")], tls=context) as server,
        Loopback([head(content_type=""), Tunnel(server.port)]) as proxy,
    ):
        route = Route({"HTTPS_PROXY": proxy.url}, ca_bundle=str(tmp_path / "ca.pem"))
        assert runner.play(lambda transport: fetched(transport, "https://far.example/v1"), route) == (200, b"{}")
    assert [(it.method, it.target) for it in proxy.requests] == [("CONNECT", "far.example:443")]
    assert [it.target for it in server.requests] == ["/v1"]


@pytest.fixture
def authority(tmp_path):
    """An authority whose certificates are trusted, in a file beside it."""
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "ca.pem")
    return made


def speaking_tls_as(authority, *names):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


@EVERY_TRANSPORT
def test_a_proxy_reached_by_https_forwards_http(runner, authority, tmp_path):
    with Loopback([answer(b"{}")], tls=speaking_tls_as(authority, "127.0.0.1")) as proxy:
        route = Route({"HTTP_PROXY": proxy.url}, ca_bundle=str(tmp_path / "ca.pem"))
        assert runner.play(lambda transport: fetched(transport, "http://far.example/v1?a=1"), route) == (200, b"{}")
    assert [it.target for it in proxy.requests] == ["http://far.example/v1?a=1"]


@EVERY_TRANSPORT
def test_a_proxy_reached_by_https_tunnels_https(runner, authority, tmp_path):
    body = b"[" + b"1, " * 50_000 + b"1]"
    with (
        Loopback([answer(body)], tls=speaking_tls_as(authority, "far.example")) as server,
        Loopback([head(content_type=""), Tunnel(server.port)], tls=speaking_tls_as(authority, "127.0.0.1")) as proxy,
    ):
        route = Route({"HTTPS_PROXY": f"https://user:pass@127.0.0.1:{proxy.port}"}, ca_bundle=str(tmp_path / "ca.pem"))

        async def story(transport):
            return [await fetched(transport, "https://far.example/v1") for _ in range(2)]

        assert runner.play(story, route) == [(200, body)] * 2
    assert [(it.method, it.target) for it in proxy.requests] == [("CONNECT", "far.example:443")]
    assert proxy.requests[0].headers["proxy-authorization"] == "Basic dXNlcjpwYXNz"
    assert len(server.requests) == 2


@EVERY_TRANSPORT
def test_r26_a_wrong_certificate_at_the_end_of_a_tunnel_is_refused(runner, authority, tmp_path):
    with (
        Loopback([answer(b"{}")], tls=speaking_tls_as(authority, "other.example")) as server,
        Loopback([head(content_type=""), Tunnel(server.port)]) as proxy,
    ):
        route = Route({"HTTPS_PROXY": proxy.url}, ca_bundle=str(tmp_path / "ca.pem"))
        with pytest.raises(ConnectionFailedError) as caught:
            runner.play(lambda transport: fetched(transport, "https://far.example/v1"), route)
        assert server.requests == []
        proxy.idle()
    assert "mismatch" in caught.value.hints[0]


@EVERY_TRANSPORT
def test_a_proxy_that_refuses_is_named_without_its_password(runner):
    with Loopback([answer(status=407)]) as proxy:
        route = Route({"HTTPS_PROXY": f"http://user:canary@127.0.0.1:{proxy.port}"})
        with pytest.raises(ConnectionFailedError) as caught:
            runner.play(lambda transport: fetched(transport, "https://far.example/v1"), route)
    assert caught.value.message == "Cannot connect to Ollama at https://far.example"
    assert any("407" in hint for hint in caught.value.hints)
    assert caught.value.hints[-1] == f"The way leads through the proxy http://***@127.0.0.1:{proxy.port}."
    assert not caught.value.transient


@EVERY_TRANSPORT
def test_r25_a_call_to_loopback_does_not_reach_the_proxy(runner):
    with Loopback([answer(b"{}")]) as server, Loopback([answer(b"proxied")]) as proxy:
        route = Route(dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY"), proxy.url), proxy=proxy.url)
        assert runner.play(lambda transport: fetched(transport, server.url), route) == (200, b"{}")
    assert not proxy.connections


@EVERY_TRANSPORT
def test_r25_a_netrc_is_not_read(runner, tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login someone password canary\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with Loopback([answer(b"{}")]) as server:
        runner.play(lambda transport: fetched(transport, server.url))
    assert "authorization" not in server.requests[0].headers


@EVERY_TRANSPORT
def test_a_socks_proxy_without_its_extra_is_one_clear_line(runner, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="needs the extra 'socks'") as caught:
        runner.play(lambda transport: fetched(transport, FAR), Route({"ALL_PROXY": "socks5://127.0.0.1:1"}))
    assert caught.value.hints == ("Install it: pip install 'arawn[socks]'",)


# ---- SOCKS, in bytes of RFC 1928 and RFC 1929 ----


class Socks:
    """A SOCKS proxy that answers as it is told, then is the server itself; ``asked`` is what it was sent."""

    def __init__(self, *replies):
        self.asked = []
        self._replies = replies
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._thread.join(5)
        self._listener.close()

    def _serve(self):
        connection, _ = self._listener.accept()
        with connection:
            for reply in self._replies:
                self.asked.append(connection.recv(4096))
                connection.sendall(reply)
            connection.recv(4096)


CONNECTED = b"\5\0\0\1\x7f\0\0\1\0\x50"
FAR_EXAMPLE = b"\5\1\0\3\x0bfar.example\0\x50"


@EVERY_TRANSPORT
def test_a_socks_proxy_resolves_the_name_and_is_told_who_asks(runner):
    with Socks(b"\5\2", b"\1\0", CONNECTED, answer(b"{}")) as proxy:
        route = Route({"ALL_PROXY": f"socks5h://us%40er:pass@127.0.0.1:{proxy.port}"})
        assert runner.play(lambda transport: fetched(transport, "http://far.example/v1"), route) == (200, b"{}")
    assert proxy.asked[:3] == [b"\5\1\2", b"\1\5us@er\4pass", FAR_EXAMPLE]
    assert proxy.asked[3].startswith(b"GET /v1 HTTP/1.1\r\n")


REFUSALS = {
    "another login": ([b"\5\xff"], "log in"),
    "no way": ([b"\5\0", b"\5\5\0\1\0\0\0\0\0\0"], "cannot connect"),
    "no SOCKS": ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], "SOCKS 5"),
}


@EVERY_TRANSPORT
@pytest.mark.parametrize(("replies", "hint"), REFUSALS.values(), ids=REFUSALS)
def test_a_socks_proxy_that_refuses_says_why(runner, replies, hint):
    with Socks(*replies) as proxy:
        route = Route({"ALL_PROXY": f"socks5://127.0.0.1:{proxy.port}"})
        with pytest.raises(ConnectionFailedError) as caught:
            runner.play(lambda transport: fetched(transport, "http://far.example/v1"), route)
    assert any(hint in each for each in caught.value.hints), caught.value.hints


# ---- Addresses in brackets ----


@EVERY_TRANSPORT
def test_a_proxy_is_told_an_ipv6_address_in_brackets_and_no_zone(runner):
    with Loopback([answer(b"{}")]) as proxy:
        route = Route({"HTTP_PROXY": proxy.url})
        url = "HTTP://[fe80::1%eth0]:8000/v1"
        assert runner.play(lambda transport: fetched(transport, url), route) == (200, b"{}")
    [request] = proxy.requests
    assert request.headers["host"] == "[fe80::1]:8000"
    assert "%" not in request.target.replace("%25eth0", "").replace("%eth0", "")


@EVERY_TRANSPORT
def test_a_tunnel_to_an_ipv6_address_is_asked_for_in_brackets(runner):
    with Loopback([answer(status=403)]) as proxy:
        route = Route({"HTTPS_PROXY": proxy.url})
        with pytest.raises(ConnectionFailedError):
            runner.play(lambda transport: fetched(transport, "https://[fd00::1]:8000/v1"), route)
    assert [it.target for it in proxy.requests] == ["[fd00::1]:8000"]
