"""A run as a tracking server keeps it: tags, parameters, metrics, files. No TFX, no TensorFlow."""

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from maskline.components.evaluation.report import CANDIDATE, OVERALL, EvaluationReport
from maskline.pipeline.registry.model_facts import read_facts
from maskline.pipeline.registry.record import Run
from maskline.pipeline.report.known import HistoryEntry
from maskline.pipeline.report.paths import path_of
from maskline.pipeline.settings.sections import Settings
from maskline.transform.names import CARD_FILE, EXTRA_FOLDER, HISTORY_FILE

_ALLOWED = re.compile(r"[\w.\- :/]", re.ASCII)
_LONGEST_NAME = 250  # of a parameter or metric
_LONGEST_VALUE = 6000  # of a parameter
_ENDS = {"failed": "FAILED", "interrupted": "KILLED"}


@dataclass(frozen=True)
class Described:
    """A run as a tracking server keeps it.

    `status` is MLflow's, `model_id` that of the trained model in the metadata store, 0 for none. `metrics`
    are name, value and step; the step of what was measured once is 0.
    """

    name: str
    began: datetime
    seconds: float
    status: str
    decision: str
    model_id: int
    tags: dict[str, str]
    parameters: dict[str, str] = field(default_factory=dict)
    metrics: list[tuple[str, float, int]] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    evaluation: EvaluationReport | None = None


def describe_run(settings: Settings, entry: HistoryEntry, run: Run) -> Described:
    """Describes a run that has ended; what is gone is passed over.

    Args:
      settings: say where things are.
      entry: what became of the run.
      run: its record.
    """
    training = _json(run.training / HISTORY_FILE) if run.training else {}
    facts = _facts(run)
    metrics = list(_epochs(training.get("history", ())))
    if run.evaluation:
        metrics += _slices(run.evaluation)
    tags = {"why": entry.why, "span": entry.span, "root": str(settings.root)}
    if "parameters" in training:
        tags["parameters"] = str(training["parameters"])
    return Described(
        name=entry.name,
        began=entry.time,
        seconds=entry.seconds,
        status=_ENDS.get(entry.decision, "FINISHED"),
        decision=entry.decision,
        model_id=run.candidate_id,
        tags={key: value for key, value in tags.items() if value},
        parameters=dict(_flat(facts["settings"])) if facts else {},
        metrics=[(name, value, step) for name, value, step in metrics if math.isfinite(value)],
        files=[file for file in _files(settings, entry, run) if file.is_file()],
        evaluation=run.evaluation,
    )


def metric_name(text: str) -> str:
    """A name that MLflow takes: other characters become their Unicode names, `=` a colon.

    `operator=+` becomes `operator:plus-sign`.
    """
    words = (
        c if _ALLOWED.fullmatch(c) else unicodedata.name(c, f"u-{ord(c):x}").lower().replace(" ", "-")
        for c in text.replace("=", ":")
    )
    return "".join(words)[:_LONGEST_NAME]


def _epochs(history: Iterable[dict[str, float]]) -> Iterator[tuple[str, float, int]]:
    for number, epoch in enumerate(history, start=1):
        yield from ((metric_name(name), float(value), number) for name, value in epoch.items())


def _slices(report: EvaluationReport) -> Iterator[tuple[str, float, int]]:
    for part in report.slices:
        place = report.split if part.name == OVERALL else f"{report.split}/{part.name}"
        for name, value in part.metrics.get(CANDIDATE, {}).items():
            yield metric_name(f"{place}/{name}"), float(value), 0


def _facts(run: Run) -> dict[str, Any] | None:
    try:
        return read_facts(run.facts) if run.facts else None
    except (OSError, ValueError, KeyError):
        return None


def _json(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_bytes()))
    except (OSError, ValueError):
        return {}


def _flat(values: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        name = f"{above}.{key}" if above else key
        if isinstance(value, dict) and value:
            yield from _flat(value, name)
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            yield metric_name(name), text[:_LONGEST_VALUE]


def _files(settings: Settings, entry: HistoryEntry, run: Run) -> Iterator[Path]:
    yield path_of(settings, entry.name)
    if version := run.released_version or (run.override.version if run.override else None):
        yield settings.serving_dir / str(version) / EXTRA_FOLDER / CARD_FILE
