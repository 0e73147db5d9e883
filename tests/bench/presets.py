"""How good each preset is on the examples, beside what one would try first; the table of docs/models.md.

Usage: python -m tests.bench.presets EXAMPLE,… MODEL,… [SEEDS]   (adds to build/presets.jsonl)
       python -m tests.bench.presets                     (prints the table of docs/models.md from that file)

MODEL is a preset, with its own training; `example`, as the example's settings say; or `tf-idf`, a logistic
regression on TF-IDF of the same symbols, both of scikit-learn with their defaults. Each is trained on the
train split, a preset chooses its epoch on eval, and what is printed was measured on test. Where an example
draws its rows, they are of draw 60, by which nothing was chosen. SEEDS are of the training, such as 0,1,2,
and the table has means.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import groupby, product
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from maskline.components.evaluation.report import CANDIDATE, LINEAR
from maskline.trainer.dataset import Rows
from maskline.trainer.fit import fit
from maskline.trainer.settings import TrainerSettings
from maskline.transform.names import EVAL, TEST, TRAIN
from tests.bench.release import Data, data_of, logits_of, measured

DRAW = 60
KEPT = Path("build/presets.jsonl")
METRICS = ("accuracy", "macro_f1", "pr_auc")
TF_IDF, EXAMPLE = "tf-idf", "example"


def answered(data: Data, name: str, seed: int) -> NDArray[Any]:
    """Logits [rows, answers] of the test rows, by a model that this call trains."""
    train, spec = data.parts[TRAIN].rows, data.config.sequence
    if name == TF_IDF:
        vectors = TfidfVectorizer(analyzer=str.split)
        counts = vectors.fit_transform(_texts(train, spec.pad_id))
        model = LogisticRegression(max_iter=1_000).fit(counts, train.y)
        logits = np.full((len(data.parts[TEST].rows.y), len(spec.answers)), -1e9)
        logits[:, model.classes_] = model.predict_log_proba(
            vectors.transform(_texts(data.parts[TEST].rows, spec.pad_id))
        )
        return logits
    own = {"model": data.config.model.model_dump(), "training": data.config.training.model_dump()}
    settings = TrainerSettings.model_validate(own if name == EXAMPLE else {"model": {"preset": name}})
    settings = settings.model_copy(update={"training": settings.training.for_seed(seed)})
    with tempfile.TemporaryDirectory() as folder:
        trained, _ = fit(
            train,
            data.parts[EVAL].rows,
            spec,
            settings,
            log_dir=Path(folder, "logs"),
            checkpoints=Path(folder, "checkpoints"),
        )
    return logits_of(trained, data)


def _texts(rows: Rows, padding: int) -> list[str]:
    return [" ".join(str(i) for i in row if i != padding) for row in rows.x.tolist()]


def main(examples: list[str], names: list[str], seeds: list[int]) -> None:
    """Measures what is not measured yet."""
    KEPT.parent.mkdir(exist_ok=True)
    done = {(found["example"], found["model"], found["seed"]) for found in kept()}
    for example in examples:
        with tempfile.TemporaryDirectory() as folder:
            data = data_of(example, DRAW, Path(folder))
        for name, seed in product(names, seeds):
            if (example, name, seed) in done or (name == TF_IDF and seed):
                continue
            begin = time.process_time()
            logits = answered(data, name, seed)
            seconds = time.process_time() - begin
            found = measured(data, logits).overall.metrics
            for model, values in ((name, found[CANDIDATE]), ("linear", found[LINEAR])):
                line = {
                    "example": example,
                    "model": model,
                    "seed": seed,
                    "train": len(data.parts[TRAIN].rows.y),
                    "test": len(data.parts[TEST].rows.y),
                    "seconds": seconds if model == name else 0,
                    **{metric: values.get(metric) for metric in METRICS},
                }
                if (example, model, seed) not in done and (model == name or not seed):
                    done.add((example, model, seed))
                    with KEPT.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(line) + "\n")
                    print(line, flush=True)


def kept() -> list[dict[str, Any]]:
    """What was measured before."""
    return list(map(json.loads, KEPT.read_text(encoding="utf-8").splitlines())) if KEPT.exists() else []


def table() -> Iterator[str]:
    """A row for each example and model, the most accurate first."""
    head = ("example", "train, test", "model", "trainings", "accuracy", "macro F1", "PR AUC", "s of one core")
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for example, some in groupby(sorted(kept(), key=lambda f: f["example"]), lambda f: f["example"]):
        by_model = groupby(sorted(some, key=lambda f: f["model"]), lambda f: f["model"])
        models = {model: list(lines) for model, lines in by_model}
        for model, lines in sorted(models.items(), key=lambda item: -_mean(item[1], "accuracy")):
            figures = (f"{_mean(lines, metric):.3f}" if lines[0][metric] else "" for metric in METRICS)
            shown = f"`{model}`" if model not in (TF_IDF, LINEAR) else model
            rows = f"{lines[0]['train']:,}, {lines[0]['test']:,}"
            seconds = f"{_mean(lines, 'seconds'):.0f}" if model != LINEAR else ""
            yield f"| {' | '.join((example, rows, shown, str(len(lines)), *figures, seconds))} |"


def _mean(lines: list[dict[str, Any]], name: str) -> float:
    return float(np.mean([line[name] for line in lines]))


if __name__ == "__main__":
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    given = [argument.split(",") for argument in sys.argv[1:]]
    if given:
        main(given[0], given[1], [int(seed) for seed in (given[2] if len(given) > 2 else ["0"])])
    else:
        print("\n".join(table()))
