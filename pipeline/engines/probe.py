"""Asks an engine's workers which source of maskline they have, with a job of one element."""

import apache_beam as beam
from apache_beam.runners.runner import PipelineState

from maskline.pipeline.engines.check import last_line
from maskline.pipeline.fingerprint import ROOMS, SourceCode
from maskline.pipeline.local.streams import quiet_tensorflow
from maskline.pipeline.settings.engine import BeamSettings
from maskline.transform.errors import InputError

PATIENCE = 120.0  # seconds until a worker came and imported our package


def source(_: object = None) -> str:
    """The source that this process has."""
    return SourceCode().rooms(*ROOMS)


def expect(found: str, expected: str) -> None:
    """Fails in a worker that has another source.

    Raises:
      RuntimeError: it has; the text holds both.
    """
    if found != expected:
        raise RuntimeError(f"maskline's source differs: {found} here, {expected} there")


def check_workers(settings: BeamSettings, *, patience: float = PATIENCE) -> None:
    """Runs the job.

    Args:
      settings: the engine.
      patience: seconds until workers must have answered.

    Raises:
      InputError: no worker came in time; workers have not our package, or another source of it.
    """
    workers = f"beam.environment: the workers of {settings.environment}"
    pipeline = beam.Pipeline(argv=settings.options)
    _ = pipeline | beam.Create([None]) | beam.Map(source) | beam.Map(expect, source())
    try:
        with quiet_tensorflow():  # Beam logs the workers' errors, too
            result = pipeline.run()
            state = result.wait_until_finish(duration=int(patience * 1000))
    except RuntimeError as error:
        text = str(error)
        if "No module named 'maskline" in text:
            what = "do not have our package; install its wheel, or use an image that has it"
        elif "maskline's source differs" in text:
            what = "have another version of our package than this machine; install the same one"
        else:
            what = f"cannot run a job: {last_line(text)}"
        raise InputError(f"{workers} {what}") from None
    if not PipelineState.is_terminal(state):
        result.cancel()
        raise InputError(
            f"{workers}: none answered within {patience:.0f} s; is a worker pool running there, and does the "
            "engine reach it?"
        )
