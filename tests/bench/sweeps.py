"""What a sweep finds on the examples, and how long it takes; the table of docs/models.md.

Usage: python -m tests.bench.sweeps EXAMPLE,…   (adds to build/sweeps.jsonl)
       python -m tests.bench.sweeps             (prints the table from that file)

A sweep of 20 trials begins with the settings of the example, trains on the train split and measures on eval.
What it found is then trained as an ordinary run does, with seeds 0 and 1, and so are the example's settings.
The table has the means of both on test, which no trial read. Rows that are drawn are those of draw 60, by
which nothing was chosen; `tests.bench.presets` measures the presets on the same rows.

Times are those of the processor, all in one process and after a first training, in which TensorFlow loads
much. A fit is a call of the trainer's `fit` at the example's settings. A training is what Trainer does with
rows: it fits, notes the answers, and exports. Both are means of one before the sweep and one behind it, as
the speed of a machine drifts.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from maskline.components.evaluation.report import CANDIDATE
from maskline.pipeline.settings.load import load_with_sources
from maskline.pipeline.tune import space
from maskline.pipeline.tune.search import search
from maskline.pipeline.tune.space import with_values
from maskline.trainer.answers import note_answers
from maskline.trainer.attention import note_attention
from maskline.trainer.fit import fit
from maskline.trainer.settings import TrainerSettings
from maskline.transform.names import EVAL, TRAIN
from tests.bench.release import Data, data_of, logits_of, measured

DRAW, TRIALS, TRAININGS, BEFORE, AFTER = 60, 20, 8, (0,), (1,)
METRICS = ("accuracy", "macro_f1", "loss")
KEPT = Path("build/sweeps.jsonl")
TRIED = """tune={
  training.learning_rate: {min: 0.001, max: 0.02, log: true},
  model.width: [16, 32, 48], model.kernel: [0, 3, 9], model.queries: [1, 4],
  model.dropout: {min: 0, max: 0.7}}"""


class Measured(NamedTuple):
    """Metrics of each seed's model; seconds of the processor for fitting alone, and for the trainings."""

    metrics: list[Mapping[str, float]]
    fitting: float
    training: float


def sweep(example: str) -> dict[str, Any]:
    """Trains as the example says, searches from there, and measures what was found on the test rows."""
    with tempfile.TemporaryDirectory() as folder:
        data = data_of(example, DRAW, Path(folder))
        loaded = load_with_sources(Path(folder, "maskline.yaml"), [TRIED])
        space.check(loaded)
        settings = TrainerSettings(model=loaded.settings.model, training=loaded.settings.training)
        brief = settings.training.model_copy(update={"epochs": 1})
        trained(data, settings.model_copy(update={"training": brief}), 0)  # loads what TensorFlow loads late
        before = measures(data, settings, BEFORE)
        rows = (data.parts[TRAIN].rows, data.parts[EVAL].rows)
        told: list[str] = []
        ledger, seconds = timed(
            lambda: search(
                loaded, rows, Path(folder, "tune"), trials=TRIALS, minutes=float("inf"), say=told.append
            )
        )
        print(*told, sep="\n", flush=True)
        after = measures(data, settings, AFTER)
        best = ledger.ended[0]
        chosen = with_values(loaded, best.values)
        found = TrainerSettings(model=chosen.model, training=chosen.training)
        of_found = measures(data, found, (*BEFORE, *AFTER))
    return {
        "example": example,
        "trials": len(ledger.ended),
        "epochs": sum(len(trial.losses) for trial in ledger.ended),
        "seconds": seconds,
        "fitting": (before.fitting + after.fitting) / len((*BEFORE, *AFTER)),
        "training": (before.training + after.training) / len((*BEFORE, *AFTER)),
        "found": best.values,
        "figures": {
            name: {metric: float(np.mean([m[metric] for m in some])) for metric in METRICS}
            for name, some in (("found", of_found.metrics), ("example", before.metrics + after.metrics))
        },
    }


def trained(data: Data, settings: TrainerSettings, seed: int, fitting: list[float] | None = None) -> Any:
    """The model of an ordinary training; adds to `fitting` the seconds of the processor for fitting alone."""
    at = settings.model_copy(update={"training": settings.training.for_seed(seed)})
    spec = data.config.sequence
    splits = {name: part.rows for name, part in data.parts.items()}
    with tempfile.TemporaryDirectory() as folder:
        begin = time.process_time()
        model, _ = fit(
            splits[TRAIN], splits[EVAL], spec, at,
            log_dir=Path(folder, "logs"), checkpoints=Path(folder, "checkpoints"),
        )  # fmt: skip
        if fitting is not None:
            fitting.append(time.process_time() - begin)
        note_answers(model, splits, spec)
        note_attention(model, splits[EVAL], spec)
        model.export(Path(folder, "export"), verbose=False)
    return model


def measures(data: Data, settings: TrainerSettings, seeds: Sequence[int]) -> Measured:
    """Trains with each seed, and measures on the test rows."""
    metrics, fitting, training = [], [], 0.0
    for seed in seeds:
        model, seconds = timed(partial(trained, data, settings, seed, fitting))
        training += seconds
        metrics.append(measured(data, logits_of(model, data)).overall.metrics[CANDIDATE])
    return Measured(metrics, sum(fitting), training)


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What it returns, and seconds of the processor."""
    begin = time.process_time()
    return work(), time.process_time() - begin


def kept() -> dict[str, dict[str, Any]]:
    """What was measured, by example; the last where there are several."""
    lines = KEPT.read_text(encoding="utf-8").splitlines() if KEPT.exists() else []
    return {found["example"]: found for found in map(json.loads, lines)}


def table() -> Iterator[str]:
    """A row for each example: figures of found / example."""
    times = (f"time of {TRAININGS} trainings", f"of {TRAININGS} fits")
    head = ("example", "trials", "epochs", *times, "accuracy", "macro F1", "loss")
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for example, found in sorted(kept().items()):
        ratios = (f"{found['seconds'] / found[of] / TRAININGS:.2f}" for of in ("training", "fitting"))
        figures = found["figures"]
        cells = (" / ".join(f"{figures[of][name]:.3f}" for of in ("found", "example")) for name in METRICS)
        row = (example, str(found["trials"]), str(found["epochs"]), *ratios, *cells)
        yield f"| {' | '.join(row)} |"


def main(examples: list[str]) -> None:
    """Measures the examples."""
    KEPT.parent.mkdir(exist_ok=True)
    for example in examples:
        found = sweep(example)
        with KEPT.open("a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")
        print(found, flush=True)


if __name__ == "__main__":
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    if sys.argv[1:]:
        main(sys.argv[1].split(","))
    else:
        print("\n".join(table()))
