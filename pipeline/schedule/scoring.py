"""Scores the live model on a new span, in a process of its own, so that nothing here loads TensorFlow.

A model is asked what it has not seen: a span whose number was ingested before is not scored again.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from maskline.transform.features import SequenceSpec

_ASKING = "maskline.pipeline.registry.score"  # the module that does it, with TensorFlow
_PATIENCE = 1800  # seconds


class Question(BaseModel):
    """What the model is asked: the shards of a span, what their ids mean, and shards to compare them with."""

    model_config = ConfigDict(frozen=True)

    shards: tuple[Path, ...]
    sequence: SequenceSpec
    before: tuple[Path, ...] = ()


class Drift(BaseModel):
    """How far a feature's ids are from an earlier span's, and how far they would be by chance, in bits."""

    model_config = ConfigDict(frozen=True)

    feature: str
    divergence: float
    chance: float


class Score(BaseModel):
    """How many rows there were, and how many the model answered right; or why it was not asked."""

    model_config = ConfigDict(frozen=True)

    version: int = 0
    rows: int = 0
    right: int = 0
    drift: tuple[Drift, ...] = ()
    problem: str = ""

    @property
    def accuracy(self) -> float | None:
        """The share of the rows; None where there was no row."""
        return self.right / self.rows if self.rows else None


class Scoring:
    """A score that is being computed, beside what the caller does meanwhile.

    Args:
      version: number of the released version.
      folder: its folder.
      shards: of the new span.
      sequence: what their ids mean.
      before: shards of the span that the model was trained on, to measure the drift; empty: not measured.
    """

    def __init__(
        self,
        version: int,
        folder: Path,
        shards: Sequence[Path],
        sequence: SequenceSpec,
        before: Sequence[Path] = (),
    ) -> None:
        self._version = version
        self._score: Score | None = None
        question = Question(shards=tuple(shards), sequence=sequence, before=tuple(before))
        with tempfile.TemporaryFile() as asked:
            asked.write(question.model_dump_json().encode())
            asked.seek(0)
            self._process = subprocess.Popen(
                [sys.executable, "-m", _ASKING, str(folder)],
                stdin=asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
            )  # fmt: skip

    def result(self) -> Score:
        """Waits for the score; what hinders it is in its `problem`, and never raised."""
        if self._score is None:
            self._score = self._wait()
        return self._score

    def _wait(self) -> Score:
        try:
            out, _ = self._process.communicate(timeout=_PATIENCE)
            found = Score.model_validate_json(out)
        except subprocess.TimeoutExpired:
            found = Score(problem=f"it did not answer within {_PATIENCE} s")
        except (OSError, ValidationError):
            found = Score(problem=f"the process that asked it ended with status {self._process.returncode}")
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
        return found.model_copy(update={"version": self._version})
