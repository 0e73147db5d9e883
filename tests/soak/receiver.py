"""The webhook of the month: a server on loopback that counts what it is told, and can be down."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class Receiver:
    """Writes each message as a line of JSON; use it as a context."""

    def __init__(self, port: int, file: Path) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with open(file, "a", encoding="utf-8") as out:
                    out.write(json.dumps(json.loads(body)) + "\n")
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> "Receiver":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
