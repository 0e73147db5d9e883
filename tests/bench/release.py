"""How often the release gate lets a model pass that deserves it, and stops one that does not.

Usage: python -m tests.bench.release EXAMPLE,… KIND,… [SEEDS [MINUTES]]   (adds to build/release.jsonl)
       python -m tests.bench.release          (prints the table of docs/release-gate.md and the areas of
       docs/models.md from that file)

SEEDS is their number, or `FROM-TO` without TO. After so many minutes it stops, and goes on there when it is
called again. EXAMPLE is a folder in examples/. Its rows are generated, imported, dealt out, trained on and
judged by maskline's own code, at the example's settings; only Beam, the metadata store and
checkpoints are left out. KIND:

  first     trained as the example says; nothing is live
  constant  always gives the most frequent answer of the training rows; nothing is live
  shuffled  trained on labels that were dealt out at random among the rows; nothing is live
  tenth     trained on a tenth of the rows; `first` is live
  again     trained as `first` with another seed; `first` is live

Each seed draws its own rows, labels, shuffles and weights; the kinds of a seed share its rows. What was
measured is kept, and judged anew for the table, so that another margin needs no other training.
"""

import json
import runpy
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import groupby, product
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
import yaml
from click.testing import CliRunner
from numpy.typing import NDArray

from maskline.components.evaluation import rows as raw_rows
from maskline.components.evaluation.answers import Answered, measure, read_logits
from maskline.components.evaluation.baselines import Baselines, Batch
from maskline.components.evaluation.report import (
    CANDIDATE,
    LINEAR,
    LIVE,
    MAJORITY,
    EvaluationReport,
)
from maskline.components.ingest.beam import ReadShard
from maskline.components.ingest.listing import list_shards
from maskline.components.ingest.shards import read_shard
from maskline.components.release_gate.rules import judge
from maskline.components.release_gate.settings import ReleaseGateSettings
from maskline.pipeline.cli import cli
from maskline.pipeline.settings.load import load
from maskline.pipeline.settings.sections import Settings
from maskline.trainer.dataset import Rows
from maskline.trainer.settings import TrainerSettings
from maskline.transform.features import ROW, TARGET
from maskline.transform.names import EVAL, SPLITS, TEST, TRAIN
from maskline.transform.preprocessing import preprocessing_fn
from tests.bench.fitting import Fitting

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
KINDS = ("first", "constant", "shuffled", "tenth", "again")
KEPT = Path("build/release.jsonl")
OTHER = 1_000  # is added to a seed for another one
fittings: dict[tuple[str, int, int, int], Fitting] = {}  # by example and vocabulary, which seldom changes


class Part(NamedTuple):
    """One split: rows as a model takes them, and as baselines and slices do."""

    rows: Rows
    counted: Batch
    slices: dict[str, NDArray[np.str_]]


class Data(NamedTuple):
    """An example, its settings and its rows by split."""

    example: str
    config: Settings
    parts: dict[str, Part]
    baselines: Baselines


def data_of(example: str, seed: int, folder: Path) -> Data:
    """Generates, imports and deals out the rows, by the commands at the head of the example's settings."""
    file = EXAMPLES / example / "maskline.yaml"
    commands = file.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ").split(";")
    *download, generate, bring_in = (command.split() for command in commands)
    made = folder / generate[2]
    # What is downloaded is one data set; it is expected in build/.
    more = ["--package", f"{KEPT.parent}/{download[0][-1].replace('==', '-')}.zip"] if download else []
    sys.argv = [generate[1], str(made), *(more or ["--seed", str(seed)])]
    runpy.run_path(str(file.parent / generate[1]), run_name="__main__")
    arguments = [str(made) if part == generate[2] else part for part in bring_in[1:]]
    arguments[arguments.index("--out") + 1] = str(folder / "imported")
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    (folder / "maskline.yaml").write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    config = load(folder / "maskline.yaml")
    parts = {split: _part(examples, config) for split, examples in _dealt(config).items()}
    spec = config.sequence
    return Data(example, config, parts, Baselines([parts[TRAIN].counted], len(spec.answers), linear=True))


def _dealt(config: Settings) -> dict[str, list[bytes]]:
    listing = list_shards(config.data.path, config.data.pattern)
    reader = ReadShard(
        listing.folder,
        config.sequence,
        train_percent=100 - config.data.eval_percent,
        test_share=config.data.test_share,
    )
    found: dict[str, list[bytes]] = {split: [] for split in SPLITS}
    for number, part in enumerate(part for shard in listing.shards for part in reader.parts(shard)):
        for dealt in reader.process(part):
            if dealt.tag in found:
                file = config.data.path.parent / f"{dealt.tag}-{number}"
                file.write_bytes(dealt.value.content)
                found[dealt.tag] += [record.data for record in read_shard(str(file))]
    return {split: sorted(examples) for split, examples in found.items()}


def _part(examples: list[bytes], config: Settings) -> Part:
    spec = config.sequence
    names = dict.fromkeys((*spec.features, spec.label))
    parsed = tf.io.parse_example(examples, {name: tf.io.VarLenFeature(tf.int64) for name in names})
    made = preprocessing_fn(parsed, {"sequence": spec.model_dump(mode="json")})
    lists = raw_rows.parse(np.array(examples), spec)
    return Part(
        Rows(made[ROW].numpy().astype(np.uint16), made[TARGET].numpy().astype(np.uint16)),
        raw_rows.counted(lists, spec),
        raw_rows.slices_of(lists, config.slices, spec),
    )


def trained(data: Data, *, seed: int, shuffled: bool = False, share: float = 1.0) -> keras.Model:
    """The example's model, trained as the pipeline trains it; the next training changes it."""
    rng = np.random.default_rng(seed)
    train, held_out = data.parts[TRAIN].rows, data.parts[EVAL].rows
    if share < 1:
        train, held_out = (_sampled(rows, share, rng) for rows in (train, held_out))
    if shuffled:
        train, held_out = (Rows(rows.x, rng.permutation(rows.y)) for rows in (train, held_out))
    config = data.config
    shape = (data.example, config.sequence.size, len(config.sequence.answers), config.sequence.pad_id)
    if shape not in fittings:
        settings = TrainerSettings(model=config.model, training=config.training)
        fittings[shape] = Fitting(config.sequence, settings)
    return fittings[shape].fit(train, held_out, seed=seed)


def _sampled(rows: Rows, share: float, rng: np.random.Generator) -> Rows:
    which = np.sort(rng.choice(len(rows.y), round(share * len(rows.y)), replace=False))
    return Rows(rows.x[which], rows.y[which])


def measured(data: Data, candidate: Any, live: Any = None) -> EvaluationReport:
    """What the evaluation reports of logits [rows, ids] of the test rows."""
    test, positive = data.parts[TEST], data.baselines.positive
    label = test.counted.label
    answers = {CANDIDATE: read_logits(candidate, label, positive)}
    if live is not None:
        answers[LIVE] = read_logits(live, label, positive)
    for name, logits in data.baselines.logits(test.counted.counts).items():
        answers[name] = read_logits(logits, label, positive)
    return measure(
        Answered(label, test.slices, answers),
        data.config.sequence.answers,
        positive=positive,
        threshold=data.config.evaluation.threshold,
    )


def logits_of(model: keras.Model, data: Data) -> Any:
    return model.predict(data.parts[TEST].rows.x.astype(np.int32), batch_size=4096, verbose=0)


def reports(example: str, seed: int, kinds: Sequence[str]) -> Iterator[tuple[str, EvaluationReport]]:
    """Draws the rows of a seed; trains and measures each kind of model."""
    with tempfile.TemporaryDirectory() as folder:
        data = data_of(example, seed, Path(folder))
    live = None
    if {"first", "tenth", "again"} & set(kinds):
        live = logits_of(trained(data, seed=seed), data)
    for kind in kinds:
        if kind == "constant":
            yield kind, measured(data, data.baselines.logits(data.parts[TEST].counted.counts)[MAJORITY])
        elif kind == "first":
            yield kind, measured(data, live)
        elif kind == "shuffled":
            yield kind, measured(data, logits_of(trained(data, seed=seed, shuffled=True), data))
        elif kind == "tenth":
            yield kind, measured(data, logits_of(trained(data, seed=seed, share=0.1), data), live)
        else:
            yield kind, measured(data, logits_of(trained(data, seed=OTHER + seed), data), live)


def kept() -> Iterator[tuple[str, str, int, EvaluationReport]]:
    """What was measured before: example, kind, seed and report."""
    if KEPT.exists():
        for line in KEPT.read_text(encoding="utf-8").splitlines():
            found = json.loads(line)
            report = EvaluationReport.model_validate(found["report"])
            yield found["example"], found["kind"], found["seed"], report


def rules_of(example: str) -> ReleaseGateSettings:
    """The release gate's settings of an example."""
    settings = yaml.safe_load((EXAMPLES / example / "maskline.yaml").read_text(encoding="utf-8"))
    return ReleaseGateSettings.model_validate(settings["release_gate"])


def main(examples: Sequence[str], kinds: Sequence[str], seeds: range, minutes: float) -> None:
    """Measures what is not measured yet."""
    end = time.monotonic() + 60 * minutes
    KEPT.parent.mkdir(exist_ok=True)
    done = {(example, kind, seed) for example, kind, seed, _ in kept()}
    for seed, example in product(seeds, examples):
        missing = [kind for kind in kinds if (example, kind, seed) not in done]
        if not missing or time.monotonic() > end:
            continue
        for kind, report in reports(example, seed, missing):
            found = {"example": example, "kind": kind, "seed": seed, "report": report.model_dump(mode="json")}
            with KEPT.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found) + "\n")
            verdict = judge(report, rules_of(example))
            told = {model: f"{values['accuracy']:.3f}" for model, values in report.overall.metrics.items()}
            seconds = f"{time.process_time():.0f} s"
            print(example, kind, seed, verdict.passed, told, seconds, *map(str, verdict.blocking), flush=True)


def table() -> Iterator[str]:
    """One row for each example and kind; the reason is that of the first blocked seed, as the gate words it.

    Where a baseline or the live model is among the reasons, it is that one: a bar that the example sets is no
    merit of the gate's.
    """
    yield "| example | model | released | accuracy | majority | linear | live | a reason, as printed |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    found = sorted(kept(), key=lambda f: (f[0], KINDS.index(f[1]), f[2]))
    for (example, kind), some in groupby(found, key=lambda f: f[:2]):
        measurements = [report for *_, report in some]
        verdicts = [judge(report, rules_of(example)) for report in measurements]
        passed = f"{sum(verdict.passed for verdict in verdicts)} of {len(verdicts)}"
        means = (_mean(measurements, model) for model in (CANDIDATE, MAJORITY, LINEAR, LIVE))
        reasons = [sorted(map(str, v.blocking), key=_telling) for v in verdicts]
        why = next((r[0] for r in reasons if r), "")
        yield f"| {' | '.join((example, kind, passed, *means, why))} |"


def _telling(why: str) -> tuple[bool, bool]:
    return LIVE not in why, "against" not in why


def areas() -> Iterator[str]:
    """The mean area under the precision-recall curve of each kind of model, where there are two answers."""
    found = sorted(kept(), key=lambda f: (f[0], KINDS.index(f[1]), f[2]))
    for (example, kind), some in groupby(found, key=lambda f: f[:2]):
        measurements = [report for *_, report in some]
        if candidate := _mean(measurements, CANDIDATE, "pr_auc"):
            yield f"{example}, {kind}: PR AUC {candidate}, linear {_mean(measurements, LINEAR, 'pr_auc')}"


def _mean(measurements: Sequence[EvaluationReport], model: str, metric: str = "accuracy") -> str:
    metrics = [report.overall.metrics.get(model, {}) for report in measurements]
    found = [values[metric] for values in metrics if metric in values]
    return f"{np.mean(found):.3f}" if found else ""


if __name__ == "__main__":
    # Steps of small models are many small operations, which take longer to hand to another thread than to do.
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    given = sys.argv[1:]
    if given:
        first, _, last = (given[2] if len(given) > 2 else "20").rpartition("-")
        main(
            given[0].split(","),
            given[1].split(","),
            range(int(first or 0), int(last)),
            float(given[3]) if len(given) > 3 else 1e6,
        )
    else:
        print("\n".join((*table(), "", *areas())))
