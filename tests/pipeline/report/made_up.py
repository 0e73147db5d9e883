"""A run that never was, with everything that a report can show, made of plain values."""

from itertools import pairwise
from pathlib import Path

from maskline.components.evaluation.paired import Pairs
from maskline.components.evaluation.report import (
    ConfusionCell,
    EvaluationReport,
    LossDifference,
    ReliabilityBin,
    SliceReport,
)
from maskline.components.ingest.quarantine import IngestedShard, IngestReport, NamedRow
from maskline.components.verdict import Check, Outcome, Scale, Verdict
from maskline.pipeline.failure import Failure
from maskline.pipeline.headline import headline
from maskline.pipeline.registry.record import Component, Run
from maskline.pipeline.report.known import IdCounts, Lineage, RunFacts
from maskline.pipeline.settings.load import load
from maskline.transform.answers import AnswerSummary, WrongRow
from maskline.transform.attention import AttendedRow, AttentionSummary
from maskline.transform.problems import Reason

LENGTHS = {"train": {9: 20, 10: 40, 11: 10}, "eval": {9: 5, 10: 10}}
LOSSES = [2.0, 1.5, 1.7]
CONFUSION = {("1", "1"): 60, ("1", "2"): 12, ("2", "2"): 20, ("2", "1"): 8}
NODES = (
    "ExampleGen",
    "StatisticsGen",
    "DataGate",
    "Transform",
    "Trainer",
    "Evaluator",
    "ReleaseGate",
    "Pusher",
)


def made_up(
    root: Path, *, symbol: str = "x", name: str = "2026-11-27T10-00-00.000000", **changes
) -> RunFacts:
    """All that is known of a refused run; `symbol` stands wherever a user's text can stand."""
    config = load(root=root)
    run = Run(run=name, components=_components(), blessed=False, live_version=1, ingest=_ingest(symbol))
    run.evaluation = _evaluation(symbol)
    run.metrics = run.evaluation.metrics
    run.verdicts = _verdicts(symbol)
    known = RunFacts(
        settings=config,
        run=run,
        headline=headline(run),
        lineage=Lineage(list(pairwise(NODES)), {"Trainer": [("Model", 7)]}, None),
        failure=Failure("", ()),
        history=[_epoch(n, loss) for n, loss in enumerate(LOSSES)],
        parameters=1234,
        answers=AnswerSummary(
            labels={"train": {"1": 50, "2": 20}, "eval": {"1": 10, "2": 5}},
            lengths=LENGTHS,
            rows=100,
            wrong=20,
            confusions=(),
            wrong_rows=tuple(
                WrongRow(text=f"{symbol}=1", label=symbol, answer="2", probability=0.99 - n / 100)
                for n in range(25)
            ),
        ),
        attention=_attention(symbol),
        counts=IdCounts({symbol: {"3": 75, "4": 25}}),
        counts_before=IdCounts({symbol: {"3": 50, "4": 50}}),
        facts=_facts(config, symbol),
        live_facts=_facts(config, "other"),
        live_before=1,
        card=f"# Model\n\n{symbol} and <b>more</b>\n\n| a | b |\n| --- | --- |\n| `{symbol}` | 1 |\n",
    )
    for key, value in changes.items():
        setattr(known, key, value)
    return known


def _epoch(number: int, loss: float) -> dict[str, float]:
    entry = {"loss": loss, "accuracy": 0.5, "val_loss": loss + 0.1, "val_accuracy": 0.4 + number / 10}
    speed = {"rows": 70, "seconds": 0.5, "learning_rate": 0.01 / (number + 1)}
    return {**entry, **speed, **({"resumed": 1} if number == 1 else {})}


def _components() -> list[Component]:
    counts = {"train": 70, "eval": 30}
    states = dict.fromkeys(NODES, "COMPLETE") | {"StatisticsGen": "CACHED"}
    return [
        Component(name=n, state=s, seconds=1.5, records_in=counts, records_out=counts)
        for n, s in states.items()
    ]


def _ingest(symbol: str) -> IngestReport:
    row = NamedRow(kind=Reason.TOO_LONG, file=f"/data/{symbol}.tfrecord", record=3, reason=f"holds {symbol}")
    return IngestReport(
        rows_in=103,
        splits={"train": 70, "eval": 30},
        folder="/data",
        shards=(IngestedShard(name=f"{symbol}.tfrecord", size=999, modified=0, rows=103),),
        quarantined={Reason.TOO_LONG: 2, Reason.MISSING: 1},
        examples=(row,),
    )


def _evaluation(symbol: str) -> EvaluationReport:
    def metrics(accuracy: float) -> dict[str, float]:
        return {"example_count": 100, "loss": 1.2, "accuracy": accuracy, "calibration_error": 0.05}

    def part(slice_name: str, rows: int, accuracy: float) -> SliceReport:
        models = {"candidate": accuracy, "live": 0.9, "majority": 0.6}
        return SliceReport(
            name=slice_name,
            rows=rows,
            metrics={model: metrics(value) for model, value in models.items()},
            standard_errors={model: {"loss": 0.1, "calibration_error": 0.01} for model in models},
            pairs={
                "live": Pairs(rows=rows, better=2, worse=12),
                "majority": Pairs(rows=rows, better=25, worse=5),
            },
            losses={"live": LossDifference(mean=0.2, standard_error=0.05)},
        )

    return EvaluationReport(
        slices=(part("", 100, 0.8), part(f"sign={symbol}", 40, 0.7), part("sign=+", 60, 0.9)),
        reliability={
            "candidate": tuple(
                ReliabilityBin(low=n / 5, high=(n + 1) / 5, rows=20 + n, probability=n / 5 + 0.1, right=n / 5)
                for n in range(5)
            )
        },
        confusion=tuple(ConfusionCell(label=a, answer=b, rows=n) for (a, b), n in CONFUSION.items()),
    )


def _verdicts(symbol: str) -> dict[str, Verdict]:
    def check(name: str, value: float, limit: float, *, at_least: bool) -> Check:
        held = value >= limit if at_least else value <= limit
        return Check(
            kind=name,
            name=name,
            subject=f"'{symbol}'",
            asked=f"a bound of {limit}",
            measured=f"{value}",
            outcome=Outcome.PASSED if held else Outcome.BLOCKED,
            details=() if held else (f"advice about {symbol}",),
            scale=Scale(value=value, limit=limit, at_least=at_least),
        )

    return {
        "DataGate": Verdict(checks=(check("drift", 0.0625, 0.125, at_least=False),)),
        "ReleaseGate": Verdict(
            checks=(check("accuracy", 0.8, 0.5, at_least=True), check("loss", 0.2, 0.1, at_least=False))
        ),
        "ModelChecks": Verdict(checks=(check("memory", 500, 2000, at_least=False),)),
    }


def _attention(symbol: str) -> AttentionSummary:
    def weights(on_padding: float) -> tuple[tuple[float, ...], ...]:
        return ((0.75 - on_padding, 0.25, on_padding), (0.5, 0.5 - on_padding, on_padding), (0.5, 0.5, 0.0))

    row = AttendedRow(
        symbols=(symbol, "=", " "), padding=(False, False, True), left_out=0, weights=weights(0.0),
        reference=weights(0.125), on_padding=0.0, reference_on_padding=0.125,
    )  # fmt: skip
    return AttentionSummary(mask="keys", rows=(row,))


def _facts(config, symbol: str) -> dict:
    told = {"sequence", "model", "training", "release_gate"}
    settings = {name: values for name, values in config.plain().items() if name in told}
    settings["training"]["epochs"] = 3 if symbol == "other" else 5
    settings["sequence"]["label"] = symbol
    return {
        "data": {"span": "span 4"},
        "settings": settings,
        "stack": {"python": "3.11", "tfx": "1.21.0"},
        "code": {"training": "abc"},
    }
