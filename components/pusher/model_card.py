"""Describes a published model: facts for programs, a card for people. Neither TFX nor TensorFlow."""

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from platform import python_version
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from maskline.components.evaluation.intervals import metric_interval
from maskline.components.evaluation.paired import interval
from maskline.components.evaluation.quality import MODELS, quality
from maskline.components.evaluation.report import CANDIDATE, LIVE, EvaluationReport, SliceReport
from maskline.components.pusher import card_rows
from maskline.components.pusher.audit import Change
from maskline.components.verdict import Outcome, Verdict
from maskline.transform.answers import AnswerSummary
from maskline.transform.features import SequenceSpec
from maskline.transform.learned import Learned
from maskline.transform.names import EVAL
from maskline.transform.versioned import Versioned

STACK = (
    "tensorflow", "keras", "tfx", "tensorflow-transform", "tensorflow-model-analysis",
    "tensorflow-data-validation", "apache-beam", "ml-metadata", "numpy",
)  # fmt: skip
_CONFIDENCE = 0.95
_CLASSES = 30  # that the card lists, at most


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Data(_Form):
    """The data that a model was trained on: the `span` in words, which may be empty, and rows of each split.

    `path` is the path in the settings, `files` a digest of the list of shards with their sizes and times.
    Both are empty if they are not known.
    """

    span: str = ""
    path: str = ""
    files: str = ""
    rows: dict[str, int]
    read: int
    set_aside: int


class Facts(Versioned, _Form):
    """All facts about a model.

    `metrics` are those of the model on all eval rows, `gates` the verdicts by gate, `settings` those
    of the run, `code` the SHA-256 of source and packages by what they made, and `stack` the versions by
    package. `answers` has the rows by label and length and the rows that the model gets wrong; models of
    earlier releases have none. `learned` says which epoch and seed were kept.
    """

    data: Data
    parameters: int
    metrics: dict[str, float]
    evaluation: EvaluationReport
    gates: dict[str, Verdict]
    settings: dict[str, Any] = Field(validation_alias=AliasChoices("settings", "configuration"))
    code: dict[str, str]
    stack: dict[str, str]
    answers: AnswerSummary | None = None
    learned: Learned | None = None


def stack() -> dict[str, str]:
    """Returns the versions of Python and of the packages that the model was made with."""
    return {"python": python_version()} | {name: metadata.version(name) for name in STACK}


def card(facts: Facts, change: Change) -> str:
    """Writes the model card, in Markdown.

    Args:
      facts: facts about the model.
      change: the line of the audit log about its publication.
    """
    sections = {
        "Intended use": _use(facts),
        "Limits": _limits(facts),
        "Data": _data(facts),
        "Where it is wrong": _wrong(facts),
        "How it was chosen": _chosen(facts),
        "Metrics on rows held out of training": _metrics(facts.evaluation),
        "Gates": _gates(facts.gates),
        "How it was made": _made(facts),
    }
    before = f" Version {change.before} was live before." if change.before else ""
    lines = [
        f"# Model {change.identity[:8]}",
        "",
        f"Published as version {change.to} at {change.time:%Y-%m-%d %H:%M:%S} UTC by {change.who}: "
        f"{change.reason}.{before} {quality(facts.evaluation)}",
        "",
        f"Its identity, a hash of everything that it was trained from, is `{change.identity}`.",
    ]
    for title, text in sections.items():
        lines += ["", f"## {title}", "", *text]
    return "\n".join(lines) + "\n"


def _size(spec: SequenceSpec) -> str:
    return f"up to {spec.size_at_most}, which Transform computes" if spec.is_computed else str(spec.size)


def _spec(facts: Facts) -> SequenceSpec:
    return SequenceSpec.model_validate(facts.settings["sequence"])


def _use(facts: Facts) -> Iterator[str]:
    spec = _spec(facts)
    classes = spec.task.classes
    what = (
        f"the class in `{spec.label}`" if spec.task.kind == "class" else f"the first symbol of `{spec.label}`"
    )
    if spec.task.kind == "whole":
        what = f"the whole of `{spec.label}`, up to {spec.task.length} symbols,"
    if spec.task.kind == "each":
        what = f"a class of `{spec.label}` for each symbol of `{spec.tagged}`"
    answers = {
        "first": "symbol and its probability",
        "class": "class and its probability, and the probabilities of all classes",
        "each": "class of each symbol with its probability, and the probabilities of all classes",
        "whole": "answer as a text, its probability and that of each position",
    }[spec.task.kind]
    yield (
        f"The model predicts {what} from {_listed(spec.features)}, joined by "
        f"`{spec.separator}`. A row has up to {spec.length} symbols of a vocabulary of {_size(spec)}. The "
        "model takes tf.Examples (`serving_default`) or texts (`serving_text`), and returns the logits, the "
        f"{answers}."
    )
    if spec.numeric:
        yield f"Beside them it reads numbers: {_listed(tuple(spec.numeric))}, {spec.numbers} in each row."
    if classes:
        yield f"The {len(classes)} classes: {_listed(classes[:_CLASSES])}" + (
            f" and {len(classes) - _CLASSES:,} more." if len(classes) > _CLASSES else "."
        )
    yield "Use it only for rows of the kind that it was trained and evaluated on."


def _limits(facts: Facts) -> Iterator[str]:
    overall = facts.evaluation.overall
    yield (
        f"- On {overall.rows:,} held-out rows, {1 - facts.metrics['accuracy']:.0%} of its answers are wrong, "
        "and its probabilities are off by "
        f"{facts.metrics['calibration_error']:.3f} on average (expected calibration error)."
    )
    yield (
        "- The intervals below show the uncertainty of measuring on these rows. They do not include the "
        "effect of other data or of another seed."
    )
    predicts = {
        "first": "one symbol, not the whole answer",
        "class": "one class",
        "each": "the class of each symbol by itself, without knowledge of the other answers",
        "whole": "all positions of the answer at once, each without knowledge of the others",
    }[_spec(facts).task.kind]
    yield f"- It predicts {predicts}. It refuses longer rows and unknown symbols."
    if (weights := facts.settings["training"].get("class_weights", "none")) != "none":
        yield (
            f"- It was trained with class weights ({json.dumps(weights)}), so classes that count more get "
            "higher probabilities than their share of the rows."
        )
    for gate, verdict in facts.gates.items():
        for check in verdict.checks:
            if check.outcome in (Outcome.WARNED, Outcome.BLOCKED):
                yield f"- {gate} {check.outcome}: {check}."


def _data(facts: Facts) -> Iterator[str]:
    data = facts.data
    span = f"{data.span}. " if data.span else ""
    rows = " + ".join(f"{count:,} {split}" for split, count in data.rows.items())
    yield f"{span}Rows: {rows}. Of {data.read:,} rows that were read, {data.set_aside:,} were quarantined."
    if data.path:
        files = f"; SHA-256 of the list of shards, with sizes and times: `{data.files}`" if data.files else ""
        yield f"They were read from `{data.path}`{files}."
    for check in facts.gates["DataGate"].checks if data.set_aside and "DataGate" in facts.gates else ():
        for line in check.details if check.name == "bad rows" else ():
            yield f"- Quarantined: {line}"
    if facts.answers:
        yield ""
        yield card_rows.lengths(facts.answers)
        yield ""
        yield from card_rows.labels(facts.answers)


def _wrong(facts: Facts) -> Iterator[str]:
    yield from card_rows.worst_slices(facts.evaluation)
    if facts.answers:
        yield ""
        yield from card_rows.wrong(facts.answers)


def _chosen(facts: Facts) -> Iterator[str]:
    if facts.settings["training"].get("best_weights"):
        yield "The weights are those of the epoch with the lowest loss on held-out rows."
    else:
        yield "The weights are those of the last epoch."
    if facts.learned:
        yield from facts.learned.sentences()
    if facts.evaluation.split == EVAL:
        yield (
            "The held-out rows that chose the epoch also decided the release, so the metrics on them are "
            "somewhat better than they will be on new rows."
        )
    else:
        yield (
            f"The {facts.evaluation.overall.rows:,} rows of the `test` split decided the release; they chose "
            "nothing in the training."
        )


def _metrics(report: EvaluationReport) -> Iterator[str]:
    names = [name for name in report.overall.metrics[CANDIDATE] if name != "example_count"]
    models = report.overall.metrics
    yield _row(["all rows", *(MODELS.get(model, model) for model in models)])
    yield _row(["---"] * (1 + len(models)))
    for name in names:
        values = (found.get(name) for found in models.values())
        yield _row([name.replace("_", " "), *("–" if v is None else f"{v:.4f}" for v in values)])
    yield ""
    yield f"Brackets contain {_CONFIDENCE:.0%} confidence intervals."
    yield ""
    titles = ["slice", "rows", *(name.replace("_", " ") for name in names)]
    titles += ["accuracy minus that of the live model"]
    yield _row(titles)
    yield _row(["---"] * len(titles))
    for part in report.slices:
        yield _row(
            [
                part.name or "all",
                f"{part.rows:,}",
                *(_measured(part, name) for name in names),
                _change(part),
            ]
        )


def _measured(part: SliceReport, name: str) -> str:
    """Formats a metric with its interval, if it has one."""
    value = part.metrics[CANDIDATE].get(name)
    if value is None:
        return "–"
    found = metric_interval(part, CANDIDATE, name, _CONFIDENCE)
    return _with_interval(f"{value:.4f}", *found) if found else f"{value:.4f}"


def _change(part: SliceReport) -> str:
    if LIVE not in part.pairs:
        return "no live model"
    low, high = interval(part.pairs[LIVE], confidence=_CONFIDENCE)
    return _with_interval(f"{part.pairs[LIVE].difference:+.4f}", low, high, sign="+")


def _with_interval(value: str, low: float, high: float, *, sign: str = "") -> str:
    return f"{value} ({low:{sign}.4f} … {high:{sign}.4f})"


def _gates(gates: Mapping[str, Verdict]) -> Iterator[str]:
    yield _row(["gate", "check", "measured", "asked", "outcome"])
    yield _row(["---"] * 5)
    # Failed checks come first, as in the card of a model that a person released in spite of them.
    for gate, verdict in sorted(gates.items(), key=lambda item: item[1].passed):
        for check in sorted(verdict.checks, key=lambda check: check.outcome is not Outcome.BLOCKED):
            name = check.sentence
            if not name:
                name = f"{check.name} of {check.subject}" if check.subject else check.name
            yield _row([gate, name, check.measured, check.asked, check.outcome])


def _made(facts: Facts) -> Iterator[str]:
    seed = facts.learned.seed if facts.learned else facts.settings["training"]["seed"]
    yield (
        f"The model has {facts.parameters:,} parameters and was trained with seed {seed}. Rows "
        "are split by a hash of their bytes, without a seed."
    )
    yield ""
    yield "SHA-256 of source and packages (the first 16 digits): " + _listed(
        f"{what} {digest}" for what, digest in facts.code.items()
    )
    yield ""
    yield "Versions: " + ", ".join(f"{name} {version}" for name, version in facts.stack.items()) + "."
    yield ""
    yield "Settings, without those of file paths, of the engine and of DataGate, whose checks are above:"
    yield ""
    yield from ("```json", json.dumps(facts.settings, indent=1), "```")


def _listed(names: Sequence[str] | Iterator[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _row(cells: Sequence[str]) -> str:
    escaped = (cell.replace("|", "\\|").replace("\n", " ") for cell in cells)
    return f"| {' | '.join(escaped)} |"
