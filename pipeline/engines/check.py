"""Checks an engine before a job is sent: paths, job server, workers and their package."""

import re
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

from maskline.pipeline.errors import RunError
from maskline.pipeline.settings.engine import BeamSettings
from maskline.transform.errors import InputError

_PATIENCE = 10.0  # seconds for the job server to answer


def check_engine(beam: BeamSettings, paths: Mapping[str, Path]) -> None:
    """Checks what a job needs besides its options, the quickest first; nothing where this machine runs it.

    Args:
      beam: the engine.
      paths: what workers read and write, by the name of the setting or option.

    Raises:
      InputError: a path is not in shared storage; the job server is not there; no worker comes; or workers
        do not have our package, or have another version of it.
    """
    if beam.engine == "local":
        return
    check_shared(beam, paths)
    if beam.engine == "dataflow":
        return  # it has no job server of its own, and a job to ask its workers would take minutes
    check_reachable(beam.job_endpoint, beam.engine)
    from maskline.pipeline.engines.probe import check_workers  # Beam takes seconds to import

    check_workers(beam)


def check_shared(beam: BeamSettings, paths: Mapping[str, Path]) -> None:
    """A path on a laptop is not a path on a worker.

    Raises:
      InputError: one of the paths is in no shared storage.
    """
    if beam.engine == "local":
        return
    shared = [folder.resolve() for folder in beam.shared_storage]
    for name, path in paths.items():
        if not any(path.resolve().is_relative_to(folder) for folder in shared):
            there = ", ".join(map(str, beam.shared_storage))
            raise InputError(
                f"{name}: {path} is not a path on a worker: beam.engine={beam.engine} reads and writes "
                f"shared storage, which is {there} (beam.shared_storage)"
            )


def check_reachable(endpoint: str, engine: str) -> None:
    """Makes sure that something answers at the job server's address.

    Raises:
      InputError: nothing does.
    """
    host, _, port = endpoint.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_PATIENCE).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"beam.job_endpoint: no job server of {engine} answers at {endpoint} ({reason}); start it, or "
            "run with --engine local"
        ) from None


# How an error of a worker stands in the text of a failed job: its class, and its first line.
_OF_WORKER = re.compile(r"(?:InputError|CorruptShard): (?P<line>[^\n]*?)(?: \[while running|\n|\\n|$)")


def engine_error(error: BaseException) -> Exception | None:
    """What failed in a worker, as it would have been raised here; None for other errors.

    Args:
      error: what Beam raised for a job that failed: all it has of the cause is text.
    """
    if isinstance(error, InputError) or not isinstance(error, RuntimeError):
        return None
    if found := list(_OF_WORKER.finditer(str(error))):
        return InputError(found[-1]["line"].strip())
    return RunError(last_line(str(error))) if "failed in state" in str(error) else None


def last_line(text: str) -> str:
    """The last line of a job's traceback that says something: the exception."""
    lines: Iterable[str] = (line.strip() for line in re.split(r"\n|\\n", text))
    found = [line for line in lines if line and not line.startswith(("File ", "^", "~"))]
    return found[-1][:500] if found else text[:500]
