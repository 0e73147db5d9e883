"""A Beam worker that has our package, and the pool that starts one for each job: `maskline worker`."""

import argparse
import ctypes
import os
import signal
import sys
import tempfile
from pathlib import Path


def serve(port: int) -> None:
    """Runs a pool until it is ended.

    Beam's own starts the `python` that PATH names, and stops when 300 KB that a worker printed are not read.
    Here workers are this interpreter, and print on standard error.

    Args:
      port: where an engine asks for workers, as `external:HOST:PORT` in `beam.environment`.
    """
    from apache_beam.runners.worker import worker_pool_main

    with tempfile.TemporaryDirectory(prefix="maskline-worker-") as folder:
        start = Path(folder, "worker")
        start.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m maskline.pipeline.engines.worker "$@"\n')
        start.chmod(0o700)
        worker_pool_main.main([f"--service_port={port}", f"--container_executable={start}"])


def main(arguments: list[str]) -> None:
    """Runs a worker, called as Beam calls the executable of a container.

    Args:
      arguments: `--id` and `--control_endpoint` among others.
    """
    parser = argparse.ArgumentParser(description="A Beam worker.")
    parser.add_argument("--id", required=True)
    parser.add_argument("--control_endpoint", required=True)
    given, _ = parser.parse_known_args(arguments)
    os.dup2(2, 1)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: a pool takes its workers with it
    # Before anything that a job sends is read: TFX stands in for a module of tfx-bsl that TensorFlow Data
    # Validation looks for.
    import tfx  # noqa: F401
    from apache_beam.runners.worker.sdk_worker import SdkHarness

    SdkHarness(given.control_endpoint, worker_id=given.id).run()


if __name__ == "__main__":
    main(sys.argv[1:])
