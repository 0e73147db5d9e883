"""Trains every way to mask, and every preset, on the same data, and writes a table and a plot into docs.

Usage: python -m tests.bench.ablation [FOLDER]   (default docs; about an hour on two cores)

What was trained already is kept in FOLDER/ablation.json and not trained again: remove it to start anew.
"""

import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from maskline.trainer.dataset import Rows
from maskline.trainer.fit import fit
from maskline.trainer.masking import zero_masked
from maskline.trainer.settings import TrainerSettings
from maskline.transform.features import SequenceSpec
from tests.bench.data import arithmetic

SPEC = SequenceSpec()
RECORDS, HELD_OUT, SEEDS = 100_000, 20_000, (0, 1, 2)
# As the measurements in which a residual alone took accuracy from 0.765 to 0.889.
SHORT = {"epochs": 15, "batch_size": 128, "learning_rate": 3e-3, "schedule": "constant", "xla": "on"}
OURS = {"epochs": 15, "batch_size": 128, "learning_rate": 3e-3, "xla": "on"}
LONG = {"epochs": 30, "batch_size": 512, "learning_rate": 6e-3, "xla": "on"}

OPERATORS = "+-*"

PUBLISHED = {"preset": "reference"}
LONGEST = "default, 90 epochs"  # shows where it saturates; one seed
VARIANTS: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "no mask": (PUBLISHED | {"attention_mask": "none"}, SHORT),
    "reference: mask on queries": (PUBLISHED, SHORT),
    "key mask": (PUBLISHED | {"attention_mask": "keys"}, SHORT),
    "key mask, re-zeroed": (PUBLISHED | {"attention_mask": "keys", "rezero": True}, SHORT),
    "the same with residual": (
        PUBLISHED | {"attention_mask": "keys", "rezero": True, "residual": True},
        SHORT,
    ),
    "length-free": ({"preset": "length-free"}, OURS),
    "default": ({"preset": "default"}, OURS),
    "default, 30 epochs": ({"preset": "default"}, LONG),
    LONGEST: ({"preset": "default"}, LONG | {"epochs": 90}),
}


def main(folder: Path) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(1)
    kept = folder / "ablation.json"
    results = json.loads(kept.read_text()) if kept.exists() else {}
    train, held_out = arithmetic(RECORDS, seed=1), arithmetic(HELD_OUT, seed=2)
    for seed in SEEDS:
        for name, (model, training) in VARIANTS.items():
            key = f"{name}/{seed}"
            if key not in results and not (seed and name == LONGEST):
                results[key] = measure(train, held_out, model, {**training, "seed": seed})
                kept.write_text(json.dumps(results, indent=1) + "\n")
                print(key, results[key], file=sys.stderr, flush=True)
    report(results, folder)


def report(results: Mapping[str, Mapping[str, float]], folder: Path) -> None:
    """Writes the table and the plot, of the seeds that were trained."""
    (folder / "ablation.md").write_text(table(results))
    plot(results, folder / "ablation.png")


def runs_of(results: Mapping[str, Mapping[str, float]], name: str) -> list[Mapping[str, float]]:
    return [results[f"{name}/{seed}"] for seed in SEEDS if f"{name}/{seed}" in results]


def measure(train: Rows, held_out: Rows, model: Any, training: Any) -> dict[str, float]:
    """Trains once.

    Returns:
      held-out loss and accuracy, also by operator, the share of attention that real positions pay to
      padding, the number of parameters, and examples a second over the fastest half of the epochs,
      validation included.
    """
    keras.utils.clear_session()
    settings = TrainerSettings.model_validate({"model": model, "training": training})
    with tempfile.TemporaryDirectory() as scratch:
        fitted, history = fit(
            train, held_out, SPEC, settings, log_dir=Path(scratch, "logs"), checkpoints=Path(scratch, "c")
        )
    logits = fitted.predict(held_out.x, batch_size=4096, verbose=0)
    loss = keras.losses.sparse_categorical_crossentropy(held_out.y, logits, from_logits=True)
    right, operator = logits.argmax(-1) == held_out.y, operators(held_out.x)
    seconds = sorted(entry["seconds"] for entry in history)
    return {
        "loss": round(float(np.mean(loss)), 4),
        "accuracy": round(float(np.mean(right)), 4),
        **{f"accuracy of {sign}": round(float(right[operator == sign].mean()), 4) for sign in OPERATORS},
        "attention_on_padding": round(attention_on_padding(fitted, held_out.x[:2000]), 4),
        "parameters": fitted.count_params(),
        "examples_per_second": round(len(train.y) / statistics.median(seconds[: len(seconds) // 2])),
    }


def operators(x: Any) -> Any:
    """The operator of each row, which stands between two names behind the separator: [rows] of +, - and *."""
    places = (x == SPEC.separator_id).argmax(axis=1) + 2
    return np.array(SPEC.vocabulary)[x[np.arange(len(x)), places]]


def attention_on_padding(model: keras.Model, x: Any) -> float:
    """The mean share of a real position's attention that goes to padded ones."""
    x = x.astype(np.int32)
    reflect, mask = model.get_layer("reflect"), x != SPEC.pad_id
    inputs, _ = keras.Function(model.input, reflect.input)(x)  # beside the mask, as Keras has it
    weights = reflect.attention(zero_masked(inputs, mask) if reflect.rezero else inputs, mask)
    on_padding = np.where(mask[:, None, :], 0, keras.ops.convert_to_numpy(weights)).sum(-1)
    return float(on_padding[mask].mean())


def table(results: Mapping[str, Mapping[str, float]]) -> str:
    lines = [
        "# Ways to mask, and presets\n",
        f"{RECORDS:,} records, {HELD_OUT:,} held out: mean ± half the spread over the seeds; "
        "examples/s of the fastest seed, since other work slows some. "
        f"{platform.machine()}, {os.cpu_count()} cores, one thread. `make ablation` repeats it.\n",
        "| | seeds | parameters | epochs | batch | held-out loss | held-out accuracy "
        "| attention on padding | examples/s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, (_, training) in VARIANTS.items():
        runs = runs_of(results, name)
        loss, accuracy, padding = (
            spread([run[key] for run in runs]) for key in ("loss", "accuracy", "attention_on_padding")
        )
        speed = max(run["examples_per_second"] for run in runs)
        lines.append(
            f"| {name} | {len(runs)} | {runs[0]['parameters']:,} | {training['epochs']} "
            f"| {training['batch_size']} | {loss} | {accuracy} | {padding} | {speed:,.0f} |"
        )
    return "\n".join(lines + errors(results)) + "\n"


def errors(results: Mapping[str, Mapping[str, float]]) -> list[str]:
    """A table of where the errors are, of the runs that tell."""
    columns = [f"accuracy of {sign}" for sign in OPERATORS]
    lines = [
        "\n## Where the errors are\n",
        "| | seeds | " + " | ".join(f"`{sign}`" for sign in OPERATORS) + " |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name in VARIANTS:
        if runs := [run for run in runs_of(results, name) if columns[0] in run]:
            cells = (spread([run[column] for run in runs]) for column in columns)
            lines.append(f"| {name} | {len(runs)} | {' | '.join(cells)} |")
    return lines


def spread(values: list[float]) -> str:
    return f"{statistics.mean(values):.3f} ± {(max(values) - min(values)) / 2:.3f}"


def plot(results: Mapping[str, Mapping[str, float]], file: Path) -> None:
    import matplotlib

    matplotlib.use("svg" if file.suffix == ".svg" else "agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(11, 3.6), sharey=True, layout="constrained")
    titles = {
        "accuracy": "held-out accuracy",
        "loss": "held-out loss",
        "attention_on_padding": "attention on padding",
    }
    for axis, (key, title) in zip(axes, titles.items(), strict=True):
        for place, name in enumerate(VARIANTS):
            values = [run[key] for run in runs_of(results, name)]
            ours = name.startswith(("default", "length-free"))
            axis.barh(place, statistics.mean(values), color="#1b7f79" if ours else "#9aa5b1")
            axis.plot(values, [place] * len(values), "k|", markersize=9)
        axis.set_title(title, fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_yticks(range(len(VARIANTS)), VARIANTS)
    axes[0].invert_yaxis()
    figure.savefig(file, dpi=150)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs"))
