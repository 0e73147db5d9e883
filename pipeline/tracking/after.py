"""Keeps a tracking server up to date after runs and releases. Nothing that goes wrong here fails them."""

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from maskline.pipeline.settings.notify import without_secrets
from maskline.pipeline.settings.sections import Settings
from maskline.transform.errors import InputError

PATIENCE = 300.0  # seconds; what is not copied by then is copied the next time
_BEHIND = "tracking-behind"  # a file under the root: the server does not know everything


def check(settings: Settings) -> None:
    """Refuses `tracking.mlflow` where MLflow's client is not installed, before anything runs.

    Raises:
      InputError: names the package.
    """
    if settings.tracking.mlflow and find_spec("mlflow") is None:
        raise InputError("tracking.mlflow: needs the package mlflow-skinny; `make setup` installs it")


def is_behind(settings: Settings) -> bool:
    """Whether the last attempt failed, so that even a run in which nothing changed has something to tell."""
    return bool(settings.tracking.mlflow) and _marker(settings).exists()


def catch_up(settings: Settings, warn: Callable[[str], None]) -> None:
    """Tells the server of everything that it does not know yet, in a process of its own.

    Args:
      settings: name the server; without one nothing happens.
      warn: takes one line where the server could not be told.
    """
    if not settings.tracking.mlflow:
        return
    try:
        done = subprocess.run(
            [sys.executable, "-m", "maskline.pipeline.tracking"],
            input=settings.model_dump_json(by_alias=True).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=False,
        )
        lines = done.stdout.decode(errors="replace").splitlines()
        why = "" if done.returncode == 0 else lines[-1] if lines else f"ended with status {done.returncode}"
    except subprocess.TimeoutExpired:
        why = f"was not done within {PATIENCE:.0f} s"
    except OSError as error:
        why = str(error.strerror)
    try:
        if why:
            _marker(settings).touch()
        else:
            _marker(settings).unlink(missing_ok=True)
    except OSError:
        pass  # a read-only or full root; the next run tries again all the same
    if why:
        warn(f"MLflow at {without_secrets(settings.tracking.mlflow)}: {why}; the next run tells it")


def _marker(settings: Settings) -> Path:
    return settings.root / _BEHIND
