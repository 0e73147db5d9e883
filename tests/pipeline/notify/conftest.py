"""A web server and a mail server of the tests' own, on loopback, that keep what they are sent."""

import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as Keep
from aiosmtpd.smtp import AuthResult

PASSWORD = "s3cret-of-mail"


class Web:
    """`answers` are the statuses of the next requests, 200 after them; `got` is (headers, body) of each."""

    def __init__(self) -> None:
        self.got, self.answers = [], []
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                web.got.append((self.headers, self.rfile.read(int(self.headers["Content-Length"]))))
                status = web.answers.pop(0) if web.answers else 200
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", web.url)
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook/T0P-SECRET"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def web():
    server = Web()
    yield server
    server.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate of `localhost` that signs itself, with its key."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"],
        check=True, capture_output=True, cwd=folder,
    )  # fmt: skip
    return folder


class _Kept(Keep):
    def __init__(self) -> None:
        super().__init__()
        self.letters = []

    def handle_message(self, message):
        self.letters.append(message)


class _OnAnyPort(Controller):
    """Asks the system for a port, and knows which it got."""

    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture(params=["starttls", "tls"])
def mail(request, certificate, monkeypatch):
    """Takes letters, encrypted, from who knows user and password; the client trusts its certificate.

    The connection is encrypted after it began (`starttls`), or from its first byte (`tls`).
    """
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")

    logins = []

    def authenticator(server, session, envelope, mechanism, data):
        logins.append((data.login, data.password))
        return AuthResult(success=logins[-1] == (b"me", PASSWORD.encode()), handled=False)

    encrypted = {
        "starttls": {"require_starttls": True, "tls_context": context, "auth_required": True},
        # aiosmtpd sees no TLS that was there before it, and would let nobody log in.
        "tls": {"ssl_context": context, "auth_require_tls": False},
    }[request.param]
    kept = _Kept()
    server = _OnAnyPort(kept, hostname="127.0.0.1", port=0, authenticator=authenticator, **encrypted)
    server.start()
    yield SimpleNamespace(port=server.port, letters=kept.letters, logins=logins, security=request.param)
    server.stop()
