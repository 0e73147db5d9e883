"""Brings a tracking server up to date, in a process of its own. Settings come as JSON from standard input.

What cannot be done is one line on standard output, and exit status 1.
"""

import os
import sys

from maskline.components.pusher import audit
from maskline.pipeline.local import lock
from maskline.pipeline.registry.history import History
from maskline.pipeline.report import timeline
from maskline.pipeline.settings.sections import Settings
from maskline.pipeline.tracking.described import describe_run
from maskline.transform.errors import InputError
from maskline.transform.names import Exit

# A server that is down must not hold up a run; MLflow's own defaults wait for minutes.
_LIMITS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "20", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}


def main() -> int:
    """Tells the server of everything that it does not know yet; 0, or 1 where that is not possible."""
    for name, value in _LIMITS.items():
        os.environ.setdefault(name, value)
    settings = Settings.model_validate_json(sys.stdin.buffer.read())
    from mlflow.exceptions import MlflowException

    try:
        bring_up_to_date(settings)
    except (MlflowException, OSError, InputError) as error:
        sys.stdout.write(" ".join(str(error).split()) + "\n")
        return Exit.ERROR
    return Exit.OK


def bring_up_to_date(settings: Settings) -> None:
    """Tells the server of runs and releases that it does not know yet.

    Raises:
      MlflowException: the server cannot be reached or refuses something.
      InputError: the metadata store cannot be read.
    """
    from maskline.pipeline.tracking.server import TrackingServer

    server = TrackingServer(settings.tracking)
    entries = [entry for entry in timeline.read(settings) if entry.kind == "run"]
    new = [entry for entry in entries if not server.knows(entry.name, entry.decision)]
    if new:
        history = History(settings.metadata_file, settings.serving_dir, read_only=True)
        for entry in new:
            at_work = entry is entries[-1] and entry.decision == "interrupted" and lock.holder(settings.root)
            if not at_work:
                server.log(describe_run(settings, entry, history.run(entry.name)))
    server.release(audit.changes(settings.serving_dir), settings.serving_dir, settings.root)


if __name__ == "__main__":
    sys.exit(main())
