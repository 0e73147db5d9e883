"""The entry point of every pod: runs one node of the compiled pipeline and ends as the node ended.

    python node.py --ir FILE --sha256 DIGEST --node ID --run-id ID --metadata KIND://HOST:PORT/DATABASE

Exit status: 0 complete, cached, or skipped by a condition; 3 a gate blocked; 2 the input was refused;
143 ended by SIGTERM; 1 anything else. Every line on standard output is JSON. User and password of the
metadata store are read from the environment, and never written.
"""

import argparse
import gc
import hashlib
import json
import logging
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from maskline.pipeline.cluster import buckets
from maskline.transform.errors import InputError
from maskline.transform.names import METADATA_PASSWORD, Exit

SECRETS = [METADATA_PASSWORD]
# Whole messages at every step, which say nothing that a reader of a run's log wants.
CHATTY = ("absl", "aiobotocore", "apache_beam", "botocore", "tensorflow")
logger = logging.getLogger("node")


class Stopped(BaseException):
    """The cluster asked the pod to end."""


def main() -> int:
    """Runs the node that the arguments name."""
    options = parse(sys.argv[1:])
    lines = JsonLines({"node": options.node, "run": options.run_id}, secrets=SECRETS + options.secret)
    signal.signal(signal.SIGTERM, _stop)
    # C++ reads these once, when it is loaded.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("GLOG_minloglevel", "1")
    began = time.monotonic()
    try:
        status, state, reason = run(options)
    except Stopped as stopped:
        status, state, reason = Exit.TERMINATED, "STOPPED", str(stopped)
    except InputError as error:
        # Beam puts the step's name behind the text.
        status, state, reason = Exit.BAD_INPUT, "REFUSED", str(error).split(" [while running")[0]
    except Exception as error:
        logger.error("%s", traceback.format_exc())
        first_line = (str(error).splitlines() or [""])[0]
        status, state, reason = Exit.ERROR, "FAILED", f"{type(error).__name__}: {first_line}"
    seconds = round(time.monotonic() - began, 1)
    last = {"event": "ended", "node": options.node, "state": state, "reason": reason, "time": _now()}
    # As JSON within the line too, so that a reader which prints `log` alone hands on the whole of it.
    lines.write("INFO" if status == 0 else "ERROR", "node", json.dumps(last), **last, seconds=seconds)
    lines.close()
    return status


def parse(arguments: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Runs one node of the compiled pipeline.")
    for name in ("ir", "sha256", "node", "run-id", "metadata"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--parameter", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument(
        "--secret", action="append", default=[], metavar="VARIABLE", help="kept out of the log"
    )
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> tuple[int, str, str]:
    """Loads, binds and launches; then asks the metadata store what became of it."""
    text = load_ir(Path(options.ir), options.sha256)
    for url in buckets.named_in(text):
        buckets.check(url)
    gc.disable()  # looking for garbage among millions of imported objects costs seconds
    from maskline.pipeline.cluster.metadata import connection
    from maskline.pipeline.cluster.node import Launch, bind

    gc.freeze()
    gc.enable()
    pipeline, node = bind(text, options.node, options.run_id, options.parameter)
    store = connection(options.metadata, os.environ)
    launch = Launch(pipeline, node, store)
    logger.info("%s begins", options.node)
    try:
        launch.run()
    except (Stopped, InputError) as error:
        # What a driver refuses, TFX records nowhere.
        launch.close(str(error))
        raise
    return launch.outcome()


def load_ir(file: Path, digest: str) -> str:
    """Reads the compiled pipeline.

    Raises:
      InputError: it is not there, or not the one that the run was compiled from.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file}: the compiled pipeline cannot be read ({error.strerror})") from None
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise InputError(
            f"{file}: the image holds another pipeline ({found[:12]}) than was submitted ({digest[:12]}); "
            "build the image again, or submit with the settings and source that it was built from"
        )
    return data.decode()


class JsonLines(logging.Handler):
    """Turns log records, and whatever else is written to standard output and error, into JSON lines.

    Args:
      fields: on every line.
      secrets: environment variables whose values are struck from every line.
    """

    def __init__(self, fields: dict[str, str], *, secrets: list[str]) -> None:
        super().__init__(logging.INFO)
        self._fields = fields
        self._secrets = [os.environ[name] for name in secrets if os.environ.get(name)]
        self._out = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
        here, there = os.pipe()
        os.dup2(there, 1)
        os.dup2(there, 2)
        os.close(there)
        self._pump = threading.Thread(target=self._read, args=(here,), daemon=True)
        self._pump.start()
        logging.root.handlers = [self]
        logging.root.setLevel(logging.INFO)
        for name in CHATTY:
            logging.getLogger(name).setLevel(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a record."""
        text = self.format(record)
        self.write(record.levelname, record.name, text)

    def write(self, level: str, source: str, message: str, **more: Any) -> None:
        """Writes one line."""
        line = json.dumps({
            "time": _now(), "level": level, "logger": source,
            # `log` is the key that the backend's reader of archived logs prints of a line that is JSON.
            **self._fields, "log": message, **more,
        })  # fmt: skip
        for secret in self._secrets:
            line = line.replace(json.dumps(secret)[1:-1], "***")
        self._out.write(line + "\n")

    def close(self) -> None:
        """Writes what is still under way."""
        super().close()
        sys.stdout.flush()
        sys.stderr.flush()
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        self._pump.join(timeout=2)  # longer only where a child still holds the pipe
        self._out.flush()

    def _read(self, descriptor: int) -> None:
        with open(descriptor, encoding="utf-8", errors="replace") as pipe:
            for line in pipe:
                if line.strip():
                    self.write("INFO", "output", line.rstrip())


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _stop(*_: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stopped("ended by SIGTERM")


if __name__ == "__main__":
    status = main()
    # Tearing TensorFlow down costs seconds and frees what the kernel frees anyway.
    os._exit(status)
