"""Where the page is reached: this machine alone unless asked, and beyond it never unencrypted."""

import shutil
import socket
import ssl
import subprocess
import threading

import pytest
from starlette.responses import PlainTextResponse
from tests.waiting import PATIENCE

from calando.errors import UsageError
from calando.web.http_server import run_server
from calando.web.reach import plan_reach

OPENSSL = shutil.which("openssl")


def plan(host="127.0.0.1", port=0, *, cert=None, key=None, proxy=False, names=(), open_to_all=False):
    return plan_reach(host, port, tls_cert=cert, tls_key=key, behind_proxy=proxy, names=names, open_to_all=open_to_all)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.3", "::1"])
def test_loopback_is_open_to_this_machine(host):
    reach = plan(host)
    with reach.listen() as listener:
        assert listener.getsockname()[0] in ("127.0.0.1", "127.0.0.3", "::1")
        assert reach.address(listener).startswith("http://")
    assert not reach.hosts.addresses
    assert not reach.hosts.know("evil.example")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "[::]"])
def test_beyond_loopback_is_refused_with_the_line_of_ssh(host):
    with pytest.raises(UsageError) as refused:
        plan(host, 8400)
    said = str(refused.value)
    assert "unencrypted" in said
    assert "tls_cert= and tls_key=" in said
    assert "behind_proxy=" in said
    assert "ssh -L 8400:127.0.0.1:8400 " in said
    assert "\n" not in said


def test_behind_a_proxy_its_name_is_answered_to_and_no_other():
    reach = plan("0.0.0.0", proxy=True, names=["Lab.example"])
    hosts = reach.hosts
    assert hosts.encrypted
    assert hosts.know("lab.example")
    assert hosts.know("10.1.2.3:8321")
    assert not hosts.know("evil.example")
    assert hosts.own("https://lab.example", "lab.example")
    assert hosts.own("https://lab.example", "127.0.0.1:8321")  # a proxy that does not pass `Host` on
    assert not hosts.own("http://lab.example", "lab.example")
    assert not hosts.own("https://evil.example", "127.0.0.1:8321")
    with reach.listen() as listener:
        assert reach.address(listener) == "https://lab.example/"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"host": ""}, "host= is empty"),
        ({"host": "no.such.host.invalid"}, "host= must be an address of this machine, got 'no.such.host.invalid'"),
        ({"port": 70000}, "port= must be from 0 to 65535, got 70000"),
        ({"host": "0.0.0.0", "proxy": True, "open_to_all": True}, "no_token= with host='0.0.0.0'"),
    ],
)
def test_what_cannot_be_is_said(given, said):
    with pytest.raises(UsageError, match=said.replace("(", r"\(")):
        plan(**given)


def test_another_machines_address_is_said():
    with pytest.raises(UsageError, match="host= must be an address of this machine, got '192.0.2.7'"):
        plan("192.0.2.7", proxy=True).listen()


def test_files_that_are_no_certificate_are_said(tmp_path):
    bad = tmp_path / "bad.pem"
    bad.write_text("nothing")
    with pytest.raises(UsageError, match="tls_cert= needs tls_key= as well"):
        plan(cert=bad)
    with pytest.raises(UsageError, match="tls_key= needs tls_cert= as well"):
        plan(key=bad)
    with pytest.raises(UsageError, match=r"tls_key= must be a file, got .*none\.pem"):
        plan(cert=bad, key=tmp_path / "none.pem")
    with pytest.raises(UsageError, match="must be a certificate and its key, both in PEM, without a passphrase"):
        plan(cert=bad, key=bad)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if OPENSSL is None:
        pytest.skip("needs openssl, to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [OPENSSL, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


def test_a_key_with_a_passphrase_is_refused_and_not_asked_for(certificate, tmp_path):
    cert, key = certificate
    locked = tmp_path / "locked.pem"
    subprocess.run([OPENSSL, "pkcs8", "-topk8", "-in", key, "-out", locked, "-passout", "pass:secret"], check=True)
    with pytest.raises(UsageError, match="without a passphrase"):
        plan(cert=cert, key=locked)


def test_with_a_certificate_the_page_answers_by_https_and_nothing_else(certificate, monkeypatch):
    cert, key = certificate
    reach = plan("0.0.0.0", cert=cert, key=key)
    assert reach.hosts.encrypted
    assert reach.certificate == (cert, key)
    import uvicorn

    monkeypatch.setattr(uvicorn.Server, "install_signal_handlers", lambda self: None, raising=False)
    servers = []
    start = uvicorn.Server.__init__
    monkeypatch.setattr(uvicorn.Server, "__init__", lambda self, config: (start(self, config), servers.append(self))[0])
    with reach.listen() as listener:
        port = listener.getsockname()[1]
        thread = threading.Thread(target=run_server, args=(PlainTextResponse("here"), listener, reach.certificate))
        thread.start()
        try:
            trusting = ssl.create_default_context(cafile=cert)
            request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            plain = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
            with trusting.wrap_socket(plain, server_hostname="localhost") as secure:
                secure.sendall(request)
                assert b"200 OK" in secure.recv(4096)
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as plain:
                plain.sendall(request)
                assert b"here" not in plain.recv(4096)
        finally:
            servers[0].should_exit = True
            thread.join()
