"""How often the release gate lets a model pass that deserves it, and stops one that does not.

Usage: python -m tests.bench.release EXAMPLE,… KIND,… [SEEDS [MINUTES]]   (adds to build/release.jsonl)
       python -m tests.bench.release          (prints the table of docs/release-gate.md from that file)

After so many minutes it stops, and goes on there when it is called again. EXAMPLE is a folder in examples/.
Its rows are generated, imported, dealt out, trained on and judged by maskline's own code, at the example's
settings; only Beam and the metadata store are left out. KIND:

  first     trained as the example says, judged without a live model
  constant  always gives the most frequent answer of the training rows
  shuffled  trained on labels that were dealt out at random among the rows
  tenth     trained on a tenth of the rows
  again     trained as `first`; live is the model of seed 0, trained on the same rows

Each seed draws its own rows, shuffles and weights; with `again`, weights and the order of the rows alone.
"""

import json
import runpy
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from click.testing import CliRunner
from numpy.typing import NDArray

from maskline.components.evaluation import rows as raw_rows
from maskline.components.evaluation.answers import Answered, measure, read_logits
from maskline.components.evaluation.baselines import Baselines, Batch
from maskline.components.evaluation.report import CANDIDATE, LIVE, MAJORITY
from maskline.components.ingest.beam import ReadShard
from maskline.components.ingest.listing import list_shards
from maskline.components.ingest.shards import read_shard
from maskline.components.release_gate.rules import judge
from maskline.components.verdict import Verdict
from maskline.pipeline.cli import cli
from maskline.pipeline.settings.load import load
from maskline.pipeline.settings.sections import Settings
from maskline.trainer.dataset import Rows
from maskline.trainer.fit import fit
from maskline.trainer.settings import TrainerSettings
from maskline.transform.features import ROW, TARGET
from maskline.transform.names import EVAL, SPLITS, TEST, TRAIN
from maskline.transform.preprocessing import preprocessing_fn

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
KINDS = ("first", "constant", "shuffled", "tenth", "again")
KEPT = Path("build/release.jsonl")
live_models: dict[str, Any] = {}  # by example: logits of the model of seed 0


class Part(NamedTuple):
    """One split: rows as a model takes them, and as baselines and slices do."""

    rows: Rows
    counted: Batch
    slices: dict[str, NDArray[np.str_]]


class Data(NamedTuple):
    """An example's settings and its rows by split."""

    config: Settings
    parts: dict[str, Part]
    baselines: Baselines


def data_of(example: str, seed: int, folder: Path) -> Data:
    """Generates, imports and deals out the rows, by the commands at the head of the example's settings."""
    file = EXAMPLES / example / "maskline.yaml"
    commands = file.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ").split(";")
    generate, bring_in = (command.split() for command in commands)
    made = folder / generate[2]
    sys.argv = [generate[1], str(made), "--seed", str(seed)]
    runpy.run_path(str(file.parent / generate[1]), run_name="__main__")
    arguments = [str(made) if part == generate[2] else part for part in bring_in[1:]]
    arguments[arguments.index("--out") + 1] = str(folder / "imported")
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    (folder / "maskline.yaml").write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    config = load(folder / "maskline.yaml")
    parts = {split: _part(examples, config) for split, examples in _dealt(config).items()}
    spec = config.sequence
    return Data(config, parts, Baselines([parts[TRAIN].counted], spec.size, linear=True))


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
    """The example's model, trained as the pipeline trains it."""
    keras.utils.clear_session()
    rng = np.random.default_rng(seed)
    train, held_out = data.parts[TRAIN].rows, data.parts[EVAL].rows
    if share < 1:
        train, held_out = (_sampled(rows, share, rng) for rows in (train, held_out))
    if shuffled:
        train, held_out = (Rows(rows.x, rng.permutation(rows.y)) for rows in (train, held_out))
    config = data.config
    settings = TrainerSettings(model=config.model, training=config.training.model_copy(update={"seed": seed}))
    with tempfile.TemporaryDirectory() as scratch:
        model, _ = fit(
            train, held_out, config.sequence, settings,
            log_dir=Path(scratch, "logs"), checkpoints=Path(scratch, "c"),
        )  # fmt: skip
    return model


def _sampled(rows: Rows, share: float, rng: np.random.Generator) -> Rows:
    which = np.sort(rng.choice(len(rows.y), round(share * len(rows.y)), replace=False))
    return Rows(rows.x[which], rows.y[which])


def judged(data: Data, candidate: Any, live: Any = None) -> tuple[Verdict, dict[str, float]]:
    """The release gate's verdict on logits [rows, ids] of the test rows; accuracies by model."""
    test, positive = data.parts[TEST], data.baselines.positive
    label = test.counted.label
    answers = {CANDIDATE: read_logits(candidate, label, positive)}
    if live is not None:
        answers[LIVE] = read_logits(live, label, positive)
    for name, logits in data.baselines.logits(test.counted.counts).items():
        answers[name] = read_logits(logits, label, positive)
    spec, settings = data.config.sequence, data.config.evaluation
    report = measure(
        Answered(label, test.slices, answers),
        spec.vocabulary,
        positive=positive,
        threshold=settings.threshold,
    )
    accuracies = {name: metrics["accuracy"] for name, metrics in report.metrics.items() if name in answers}
    return judge(report, data.config.release_gate), accuracies


def logits_of(model: keras.Model, data: Data) -> Any:
    return model.predict(data.parts[TEST].rows.x.astype(np.int32), batch_size=4096, verbose=0)


def one(example: str, kind: str, seed: int) -> dict[str, Any]:
    """Trains and judges once; what the table is made of."""
    with tempfile.TemporaryDirectory() as folder:
        data = data_of(example, 0 if kind == "again" else seed, Path(folder))
    live = None
    if kind == "constant":
        candidate = data.baselines.logits(data.parts[TEST].counted.counts)[MAJORITY]
    elif kind == "again":
        if example not in live_models:
            live_models[example] = logits_of(trained(data, seed=0), data)
        live = live_models[example]
        candidate = logits_of(trained(data, seed=1 + seed), data)
    else:
        share = 0.1 if kind == "tenth" else 1.0
        candidate = logits_of(trained(data, seed=seed, shuffled=kind == "shuffled", share=share), data)
    verdict, accuracies = judged(data, candidate, live)
    return {
        "example": example, "kind": kind, "seed": seed, "passed": verdict.passed,
        "rows": len(data.parts[TEST].rows.y), "accuracies": accuracies,
        "why": [str(check) for check in verdict.blocking],
        "checks": [f"{check.kind}:{check.subject}" for check in verdict.blocking],
    }  # fmt: skip


def kept() -> Iterator[dict[str, Any]]:
    """What was measured before."""
    if KEPT.exists():
        yield from map(json.loads, KEPT.read_text().splitlines())


def main(examples: Sequence[str], kinds: Sequence[str], seeds: int, minutes: float) -> None:
    """Measures what is not measured yet."""
    end = time.monotonic() + 60 * minutes
    KEPT.parent.mkdir(exist_ok=True)
    done = {(found["example"], found["kind"], found["seed"]) for found in kept()}
    for seed, example, kind in product(range(seeds), examples, kinds):
        if (example, kind, seed) not in done and time.monotonic() < end:
            found = one(example, kind, seed)
            with KEPT.open("a") as file:
                file.write(json.dumps(found) + "\n")
            told = (example, kind, seed, found["passed"], found["accuracies"], *found["why"][:1])
            print(*told, flush=True)


def table() -> Iterator[str]:
    """One row for each example and kind; the reason is that of the first blocked seed, as the gate words it.

    Where a baseline or the live model is among the reasons, it is that one: a bar that the example sets is no
    merit of the gate's.
    """
    yield "| example | model | passed | accuracy | majority | linear | a reason, as printed |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    found = list(kept())
    for example in sorted({f["example"] for f in found}):
        for kind in KINDS:
            some = sorted(
                (f for f in found if (f["example"], f["kind"]) == (example, kind)), key=lambda f: f["seed"]
            )
            if some:
                passed = f"{sum(f['passed'] for f in some)} of {len(some)}"
                means = (
                    f"{np.mean([f['accuracies'][model] for f in some]):.3f}"
                    for model in (CANDIDATE, "majority", "linear")
                )
                reasons = [why for f in some for why in sorted(f["why"], key=lambda w: "against" not in w)]
                why = reasons[0] if reasons else ""
                yield f"| {' | '.join((example, kind, passed, *means, why))} |"


if __name__ == "__main__":
    if len(sys.argv) > 2:
        given = sys.argv[1:]
        main(
            given[0].split(","),
            given[1].split(","),
            int(given[2]) if len(given) > 2 else 20,
            float(given[3]) if len(given) > 3 else 1e6,
        )
    else:
        print("\n".join(table()))
