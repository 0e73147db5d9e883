"""Everything that is known of a run, read for its report. What cannot be read is left out, and said."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf.message import DecodeError
from tensorflow_metadata.proto.v0 import statistics_pb2

from maskline.components.pusher.serving import FACTS_PATH
from maskline.pipeline.failure import Failure, read_failure
from maskline.pipeline.headline import headline
from maskline.pipeline.local import lock
from maskline.pipeline.registry.lookup import checkpointed_epoch
from maskline.pipeline.registry.model_facts import read_facts
from maskline.pipeline.registry.record import Run
from maskline.pipeline.registry.store import RunStore
from maskline.pipeline.report import lineage
from maskline.pipeline.report.known import IdCounts, RunFacts
from maskline.pipeline.settings.sections import Settings
from maskline.transform.answers import AnswerSummary
from maskline.transform.attention import AttentionSummary
from maskline.transform.names import (
    ANSWERS_FILE,
    ATTENTION_FILE,
    CARD_FILE,
    EXTRA_FOLDER,
    HISTORY_FILE,
    TRAIN,
)

_T = TypeVar("_T")


def read(
    settings: Settings,
    run: Run,
    *,
    is_last: bool = True,
    at_work: bool = True,
    store: RunStore | None = None,
) -> RunFacts:
    """Reads what is stored with a run's record.

    Args:
      settings: says where things lie.
      run: as recorded.
      is_last: whether it is the last run of its root.
      at_work: whether a run that has not ended may be at work still.
      store: the metadata store of a cluster, in place of the root's own.
    """
    working = lock.holder(settings.root) if is_last and at_work and not run.ended else None
    log = settings.root / "logs" / run.log_name
    failed = not run.ended and not working and any(c.state == "FAILED" for c in run.components)
    failure = read_failure(log) if failed else Failure("", ())
    epoch = checkpointed_epoch(settings) if is_last and not run.ended else 0
    line = headline(run, working=working, epoch=epoch, cause=failure.cause)
    found = RunFacts(settings, run, line, lineage.read(settings, run, store), failure, gone=list(run.lost))
    if run.training:
        if document := _or_gone(found, _json, run.training / HISTORY_FILE):
            found.history, found.parameters = document["history"], document["parameters"]
        found.answers = _or_gone(
            found, lambda p: AnswerSummary.model_validate_json(p.read_bytes()), run.training / ANSWERS_FILE
        )
        if (run.training / ATTENTION_FILE).exists():
            found.attention = _or_gone(
                found,
                lambda p: AttentionSummary.model_validate_json(p.read_bytes()),
                run.training / ATTENTION_FILE,
            )
    if run.statistics:
        found.counts = _or_gone(found, _count_ids, run.statistics)
    if found.lineage.statistics_before:
        found.counts_before = _or_gone(found, _count_ids, found.lineage.statistics_before)
    if run.facts:
        found.facts = _or_gone(found, read_facts, run.facts)
    _read_releases(found)
    return found


def _read_releases(found: RunFacts) -> None:
    """The card of what was released, and the settings of the version that was live before it."""
    folder, number = found.settings.serving_dir, found.run.released_version
    if number:
        file = folder / str(number) / EXTRA_FOLDER / CARD_FILE
        found.card = _or_gone(found, lambda path: path.read_text(encoding="utf-8"), file) or ""
    versions = sorted(int(path.name) for path in folder.glob("*") if path.name.isdigit())
    before = [other for other in versions if number is None or other < number]
    if before:
        found.live_before = before[-1]
        file = folder / str(before[-1]) / FACTS_PATH
        found.live_facts = _or_gone(found, read_facts, file) if file.exists() else None


def _or_gone(found: RunFacts, read_file: Callable[[Path], _T], path: Path) -> _T | None:
    try:
        return read_file(path)
    except (OSError, ValueError, KeyError, DecodeError) as error:
        if str(path) not in found.gone:
            found.gone.append(f"{path} ({type(error).__name__})")
        return None


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_bytes())


def _count_ids(folder: Path) -> IdCounts:
    file = folder / f"Split-{TRAIN}" / "FeatureStats.pb"
    [dataset] = statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read_bytes()).datasets
    return IdCounts(
        {
            feature.path.step[0]: {
                bucket.label: int(bucket.sample_count)
                for bucket in feature.string_stats.rank_histogram.buckets
            }
            for feature in dataset.features
        }
    )
