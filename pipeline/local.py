"""Runs the pipeline on this machine. Imports TFX only when there is something to do."""

import gc
import hashlib
import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from pipeline import fingerprint, lock, shards
from pipeline.config import Config
from pipeline.console import Console
from pipeline.history import Exit, History, Run
from pipeline.streams import sent_to
from transform.errors import InputError
from transform.features import SequenceSpec, make_schema, schema_problem

logger = logging.getLogger(__name__)


class RunError(RuntimeError):
    """A component failed for a reason that is not the user's input."""


def run(config: Config, console: Console) -> Exit:
    """Runs what is not up to date and says how it went.

    Args:
      config: the run's settings.
      console: where progress and summary go.

    Returns:
      the exit status: 0 pushed or nothing new to do, 3 ran but not blessed, 1 anything else.

    Raises:
      InputError: the user's input is wrong.
      BusyError: another run works on the root.
    """
    found = shards.find(config.data)
    schema_text = read_schema(config.data.schema_file, config.sequence)
    with lock.hold(config.root):
        history = History(config.metadata_file, config.serving_dir)
        history.close_abandoned()
        data_version = shards.version(found)
        inputs = _digest(
            config.model_dump_json(),
            schema_text,
            data_version,
            fingerprint.source(*fingerprint.ROOMS),
        )
        if previous := history.unchanged(inputs):
            console.unchanged(previous)
            return previous.exit
        name = datetime.now().strftime("%Y-%m-%dT%H-%M-%S.%f")
        log = config.root / "logs" / f"{name}.log"
        failure = None
        with _everything_logged_to(log, console):
            try:
                _run_nodes(config, name, schema_text, data_version, console)
            except (InputError, RunError) as error:
                failure = error
            except Exception as error:  # whatever TFX raises while it builds the pipeline
                traceback.print_exc()
                failure = RunError(f"{type(error).__name__}: {error}".splitlines()[0])
        result = history.latest()
        if isinstance(failure, InputError):
            console.note(f"log: {log}")
            raise failure
        if result is None or result.run != name:
            result = Run(run=name, components=[])
        if not failure and result.model and not result.model.exists():
            failure = RunError(
                f"version {result.live_version} is recorded as live, but {result.model} is not there; "
                "put it back, or start anew with another --root"
            )
        console.summary(result, log, failure)
        if failure or result.exit is Exit.ERROR:
            return Exit.ERROR
        history.finish(name, inputs)
        return result.exit


def read_schema(file: Path | None, spec: SequenceSpec) -> str:
    """The curated schema as text, or without a file the one that `spec` implies.

    Raises:
      InputError: the file cannot be read, is not a schema, or disagrees with the spec.
    """
    if file is None:
        return text_format.MessageToString(make_schema(spec))
    try:
        text = file.read_text(encoding="utf-8")
        schema = text_format.Parse(text, schema_pb2.Schema())
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"data.schema: {file} cannot be read ({error})") from None
    except text_format.ParseError as error:
        raise InputError(f"data.schema: {file} is not a schema ({error})") from None
    if problem := schema_problem(schema, spec):
        raise InputError(
            f"data.schema: {file} and sequence disagree: {problem}; "
            "mend it, or leave data.schema out and it follows from sequence"
        )
    return text


def _run_nodes(config: Config, name: str, schema_text: str, data_version: str, console: Console) -> None:
    """Builds the pipeline and runs its nodes; raises the first node's failure."""
    schema_file = config.root / "schemas" / f"{_digest(schema_text)}.pbtxt"
    schema_file.parent.mkdir(parents=True, exist_ok=True)
    schema_file.write_text(schema_text, encoding="utf-8")
    with console.working("loading TFX"), _imports_uncollected():
        from pipeline.dag import create_pipeline
        from pipeline.nodes import ForkingRunner
    pipeline = create_pipeline(config, schema_file=str(schema_file), data_version=data_version)
    ForkingRunner(name, console).run(pipeline)


@contextmanager
def _imports_uncollected() -> Iterator[None]:
    """Importing makes millions of objects that stay; looking for garbage among them costs seconds."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def _everything_logged_to(log: Path, console: Console) -> Iterator[None]:
    """Sends what Python, C++ and child processes write to the log; only the console is shown."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        file = open(log, "ab", buffering=0)  # noqa: SIM115, closed below
    except OSError as error:
        raise InputError(f"{log.parent}: logs cannot be written ({error.strerror})") from None
    with file, console.on_its_own_screen(), sent_to(file, 1, 2):
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
        yield


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
