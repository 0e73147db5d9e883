"""The entry point of every pod: runs a node of the compiled pipeline, or more, and ends as the last one did.

    python node.py --ir FILE --sha256 DIGEST --node ID --run-id ID --metadata KIND://HOST:PORT/DATABASE

`--node` may be given several times: a stage's nodes run one after the other, until one does not end well.

Exit status: 0 complete, cached, or skipped by a condition; 3 a gate blocked; 2 the input was refused;
143 ended by SIGTERM; 1 anything else. Every line on standard output is JSON. User and password of the
metadata store are read from the environment, and never written.
"""

import argparse
import hashlib
import json
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from maskline.pipeline.cluster import buckets, last_words, stage
from maskline.pipeline.imports import lean_imports
from maskline.transform import own_code
from maskline.transform.errors import InputError
from maskline.transform.names import METADATA_PASSWORD, Exit

SECRETS = [METADATA_PASSWORD]
# Whole messages at every step, which say nothing that a reader of a run's log wants.
CHATTY = ("absl", "aiobotocore", "apache_beam", "botocore", "tensorflow")
logger = logging.getLogger("node")


class Stopped(BaseException):
    """The cluster asked the pod to end."""


def main() -> int:
    """Runs the nodes that the arguments name."""
    options = parse(sys.argv[1:])
    # Where the bundle has functions of the user's own.
    own_code.look_in(Path(options.ir).parent / "code")
    # Who works in the volume may be another user tomorrow, as on OpenShift; the group stays.
    os.umask(0o002)
    # C++ reads these once, when it is loaded.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("GLOG_minloglevel", "1")
    if len(options.nodes) == 1:
        return one(options, options.nodes[0])
    load_ahead(options)
    node, status = stage.run_in_turn(options.nodes, lambda node: one(options, node))
    if status >= 0:
        return status
    lines = JsonLines({"node": node, "run": options.run_id}, secrets=SECRETS + options.secret)
    name = signal.Signals(-status).name
    return end(
        options, lines, node, Exit.ERROR, "FAILED", f"killed by {name}; perhaps its memory limit is too low"
    )


def one(options: argparse.Namespace, node: str) -> int:
    """Runs one node, and says how it ended."""
    lines = JsonLines({"node": node, "run": options.run_id}, secrets=SECRETS + options.secret)
    signal.signal(signal.SIGTERM, _stop)
    began = time.monotonic()
    try:
        status, state, reason = run(options, node)
    except Stopped as stopped:
        status, state, reason = Exit.TERMINATED, "STOPPED", str(stopped)
    except InputError as error:
        # Beam puts the step's name behind the text.
        status, state, reason = Exit.BAD_INPUT, "REFUSED", str(error).split(" [while running")[0]
    except Exception as error:
        logger.error("%s", traceback.format_exc())
        first_line = (str(error).splitlines() or [""])[0]
        status, state, reason = Exit.ERROR, "FAILED", f"{type(error).__name__}: {first_line}"
    return end(options, lines, node, status, state, reason, seconds=round(time.monotonic() - began, 1))


def end(
    options: argparse.Namespace,
    lines: "JsonLines",
    node: str,
    status: int,
    state: str,
    reason: str,
    **more: Any,
) -> int:
    """Leaves a node's last words in the pod's message and in the log."""
    words = last_words.LastWords(node, state, reason, _now())
    last_words.leave(words, options.termination_log, lines.strike)
    # As JSON within the line too, so that a reader which prints `log` alone hands on the whole of it.
    level = "INFO" if status == 0 else "ERROR"
    lines.write(level, "node", words.as_json, event="ended", **words._asdict(), **more)
    lines.close()
    return status


def parse(arguments: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Runs nodes of the compiled pipeline, one after the other.")
    for name in ("ir", "sha256", "run-id", "metadata"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--node", action="append", required=True, dest="nodes", metavar="ID")
    parser.add_argument("--parameter", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument(
        "--secret", action="append", default=[], metavar="VARIABLE", help="kept out of the log"
    )
    # Where Kubernetes looks for it, unless the pod says otherwise (`terminationMessagePath`).
    place = os.environ.get("TERMINATION_LOG", last_words.TERMINATION_LOG)
    parser.add_argument("--termination-log", default=place, help="takes how the node ended, and why")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace, node_id: str) -> tuple[int, str, str]:
    """Loads, binds and launches; then asks the metadata store what became of it."""
    text = load_ir(Path(options.ir), options.sha256)
    for url in buckets.named_in(text):
        buckets.check(url)
    load(text, [node_id])
    from maskline.pipeline.cluster.metadata import connection
    from maskline.pipeline.cluster.node import Launch, bind

    several = len(options.nodes) > 1
    pipeline, node = bind(text, node_id, options.run_id, options.parameter, some_of_others=several)
    store = connection(options.metadata, os.environ)
    launch = Launch(pipeline, node, store)
    logger.info("%s begins", node_id)
    try:
        launch.run()
    except (Stopped, InputError) as error:
        # What a driver refuses, TFX records nowhere.
        launch.close(str(error))
        raise
    return launch.outcome()


def load_ahead(options: argparse.Namespace) -> None:
    """Imports before processes are forked. What that writes becomes JSON too, by a thread that ends here."""
    saved = os.dup(1), os.dup(2)
    lines = JsonLines({"node": options.nodes[0], "run": options.run_id}, secrets=SECRETS + options.secret)
    with suppress(InputError):  # the first node says so
        load(load_ir(Path(options.ir), options.sha256), options.nodes)
    lines.close()
    for there, here in zip(saved, (1, 2), strict=True):
        os.dup2(there, here)
        os.close(there)


def load(text: str, nodes: Sequence[str]) -> None:
    """Imports what these nodes need, in a process that has not imported it yet."""
    with lean_imports(clouds=True):  # the engine may be Dataflow
        from maskline.pipeline.cluster.node import import_executors

        import_executors(text, nodes)


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
        self._out.write(self.strike(line) + "\n")

    def strike(self, text: str) -> str:
        """JSON without the values of secrets."""
        for secret in self._secrets:
            text = text.replace(json.dumps(secret)[1:-1], "***")
        return text

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
