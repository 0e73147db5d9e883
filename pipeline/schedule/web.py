"""`--listen`: metrics, health and a status page over HTTP, for readers only."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from maskline.pipeline.schedule import metrics
from maskline.pipeline.schedule.heart import Heart
from maskline.pipeline.schedule.page import status_page
from maskline.transform.errors import InputError

_PATIENCE = 10.0  # seconds for which a reader may say nothing
_HTML, _TEXT = "text/html; charset=utf-8", "text/plain; charset=utf-8"


def read_address(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`, as `127.0.0.1:9100` or `[::1]:9100`.

    Raises:
      InputError: it is not an address.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 <= int(port) < 1 << 16:
        raise InputError(f"--listen: '{text}' is not an address; 127.0.0.1:9100 is one")
    return host.removeprefix("[").removesuffix("]"), int(port)


@contextmanager
def serving(
    address: tuple[str, int], heart: Heart, clock: Callable[[], datetime], say: Callable[[str], Any]
) -> Iterator[int]:
    """Serves while the block runs; yields the port.

    Raises:
      InputError: the address cannot be listened on.
    """
    try:
        server = _Server(address, _handler(heart, clock))
    except OSError as error:
        raise InputError(f"--listen: {address[0]}:{address[1]}: {error.strerror}") from None
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    say(f"listening on http://{address[0]}:{server.server_port}/")
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        if ":" in address[0]:
            import socket

            self.address_family = socket.AF_INET6
        super().__init__(address, handler)


def _handler(heart: Heart, clock: Callable[[], datetime]) -> type[BaseHTTPRequestHandler]:
    ticks = metrics.Ticks()
    registry = metrics.registry(heart, ticks)

    def answer(path: str) -> tuple[int, str, bytes]:
        if path == "/metrics":
            return 200, CONTENT_TYPE_LATEST, generate_latest(registry)
        if path == "/healthz":
            problem = heart.problem(clock())
            return (503 if problem else 200), _TEXT, f"{problem or 'ok'}\n".encode()
        if path == "/":
            return 200, _HTML, status_page(heart, ticks.read(heart.settings.root), clock()).encode()
        return 404, _TEXT, b"there are /, /metrics and /healthz\n"

    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = "maskline", ""
        timeout = _PATIENCE

        def do_GET(self) -> None:
            try:
                status, kind, body = answer(self.path.split("?")[0])
            except (InputError, OSError) as error:
                status, kind, body = 500, _TEXT, f"{error}\n".encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *_: Any) -> None:
            """Says nothing: a scrape each few seconds would bury what matters."""

    return Handler
