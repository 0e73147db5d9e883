"""Pusher: releases a blessed model once, and records what is live."""

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict
from tfx import types
from tfx.components.pusher.executor import Executor as StockExecutor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from maskline.components.artifacts import Release, TrainingHistory, VerdictArtifact, candidate_identity
from maskline.components.evaluation.report import CANDIDATE, LIVE, EvaluationReport
from maskline.components.ingest import spans
from maskline.components.pusher import audit, manifest
from maskline.components.pusher.model_card import Data, Facts, stack
from maskline.components.pusher.serving import Version, publish, repair, versions
from maskline.components.reads import ReadsPart
from maskline.components.release_gate.unknown_live import accepted_problem
from maskline.components.verdict import Verdict
from maskline.transform.answers import AnswerSummary
from maskline.transform.errors import InputError
from maskline.transform.names import (
    ANSWERS_FILE,
    CHECKED_FILES,
    EVALUATION_FILE,
    FACTS_FILE,
    FILES,
    HISTORY_FILE,
    READ_FROM,
    ROWS_READ,
    VERDICT_FILE,
    Node,
)

logger = logging.getLogger(__name__)


# The gates' verdicts, by input, with the names of the nodes that gave them.
GATES = {
    "data_verdict": Node.DATA_GATE,
    "checks_verdict": Node.MODEL_CHECKS,
    "release_verdict": Node.RELEASE_GATE,
}


class Provenance(BaseModel):
    """What the artifacts do not say: settings, `code` (SHA-256 by what it made) and how spans are named."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    settings: dict[str, Any]
    code: dict[str, str]
    spans: str = ""


class PusherSpec(ComponentSpec):
    """Inputs as in TFX's Pusher; `release` beside its output."""

    PARAMETERS = {
        "serving_dir": ExecutionParameter(type=str),
        "provenance": ExecutionParameter(type=str),
        "fingerprint": ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "model_blessing": ChannelParameter(type=standard_artifacts.ModelBlessing),
        "infra_blessing": ChannelParameter(type=standard_artifacts.InfraBlessing),
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "history": ChannelParameter(type=TrainingHistory),
        "evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation),
        **{gate: ChannelParameter(type=VerdictArtifact) for gate in GATES},
    }
    OUTPUTS = {
        "pushed_model": ChannelParameter(type=standard_artifacts.PushedModel),
        "release": ChannelParameter(type=Release),
    }


class Executor(ReadsPart, StockExecutor):
    """Publishes by the model's identity: a model that was released before is not released again."""

    READS = {"examples": (), "model_blessing": (), "infra_blessing": ()}

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: Mapping[str, Any],
    ) -> None:
        """Publishes and records; leaves `release` without an artifact where nothing went live."""
        pushed = artifact_utils.get_single_instance(output_dict["pushed_model"])
        model = artifact_utils.get_single_instance(input_dict["model"])
        facts = describe(input_dict, Provenance.model_validate_json(exec_properties["provenance"]))
        # Also for a model that is held back: a person may publish it later.
        fileio.makedirs(pushed.uri)
        with fileio.open(f"{pushed.uri}/{FACTS_FILE}", "w") as file:
            file.write(facts.model_dump_json(indent=1))
        version = None
        if self.CheckBlessing(input_dict):
            blessing = artifact_utils.get_single_instance(input_dict["infra_blessing"])
            checked = blessing.get_string_custom_property(CHECKED_FILES)
            folder = Path(exec_properties["serving_dir"]).absolute()
            version = self._publish_once(model, folder, facts, checked=checked)
        if version is None:
            self._MarkNotPushed(pushed)
            output_dict["release"] = []
            return
        self._MarkPushed(pushed, pushed_destination=str(version.path), pushed_version=str(version.number))
        release = artifact_utils.get_single_instance(output_dict["release"])
        release.version = version.number
        release.identity = version.identity
        release.model_id = model.id

    def _publish_once(
        self, model: types.Artifact, folder: Path, facts: Facts, *, checked: str
    ) -> Version | None:
        identity = candidate_identity(model)
        repair(folder)
        present = versions(folder)
        if present and present[-1].identity == identity:
            # Published by a run that was killed before it could record it, or by a cache miss.
            logger.info("version %d already serves this model", present[-1].number)
            return present[-1]
        accepted = accepted_problem(facts.gates[Node.RELEASE_GATE])
        log = audit.changes(folder)
        earlier = [change.to for change in log if change.identity == identity]
        # The model that was live last is released again where its version is damaged or gone.
        is_lost = bool(accepted) and max(earlier, default=0) == max((c.to for c in log), default=0)
        if earlier and not is_lost:
            logger.info("version %d served this model before; not released again", earlier[-1])
            return None
        if present and not accepted and LIVE not in facts.evaluation.metrics:
            raise InputError(
                f"{present[-1].path}: is live and was not compared with the candidate, as the metadata store "
                "does not know it; put the store back, or make the store know it with `maskline rollback`"
            )
        run = self._context.pipeline_run_id if self._context else None
        why = f"blessed in run {run}" if run else "blessed"
        saved_model = Path(self.GetModelPath({"model": [model]}))
        if problem := manifest.unlike(saved_model, checked):
            raise InputError(problem)
        return publish(saved_model, folder, why=why, model_id=model.id, facts=facts, unknown_live=accepted)


def describe(inputs: Mapping[str, list[types.Artifact]], provenance: Provenance) -> Facts:
    """What is known of a model, from the artifacts that Pusher is given."""
    history = json.loads(_text(inputs["history"], HISTORY_FILE))
    report = EvaluationReport.model_validate_json(_text(inputs["evaluation"], EVALUATION_FILE))
    return Facts(
        data=_data(inputs["examples"], history["rows"], provenance),
        parameters=history["parameters"],
        metrics=report.metrics[CANDIDATE],
        evaluation=report,
        gates={
            name: Verdict.model_validate_json(_text(inputs[gate], VERDICT_FILE))
            for gate, name in GATES.items()
        },
        settings=provenance.settings,
        code=provenance.code,
        stack=stack(),
        answers=_answers(inputs["history"]),
        learned=history.get("learned"),
    )


def _answers(history: list[types.Artifact]) -> AnswerSummary | None:
    """What the training noted of its rows; None for one that noted nothing yet."""
    if not fileio.exists(f"{artifact_utils.get_single_uri(history)}/{ANSWERS_FILE}"):
        return None
    return AnswerSummary.model_validate_json(_text(history, ANSWERS_FILE))


def _data(examples: list[types.Artifact], rows: dict[str, int], provenance: Provenance) -> Data:
    read = sum(artifact.get_int_custom_property(ROWS_READ) for artifact in examples)
    numbers = sorted(artifact.span for artifact in examples)
    names = [spans.span_name(provenance.spans, number) for number in numbers] if provenance.spans else []
    span = "" if not names else f"span {names[0]}" if len(names) == 1 else f"spans {names[0]} to {names[-1]}"
    ordered = sorted(examples, key=lambda artifact: artifact.span)
    folders, files = (
        [artifact.get_string_custom_property(name) for artifact in ordered] for name in (READ_FROM, FILES)
    )
    return Data(
        span=span,
        path=", ".join(dict.fromkeys(filter(None, folders))),
        files=hashlib.sha256("\n".join(files).encode()).hexdigest() if any(files) else "",
        rows=rows,
        read=read,
        set_aside=read - sum(rows.values()),
    )


def _text(artifacts: list[types.Artifact], file: str) -> str:
    with fileio.open(f"{artifact_utils.get_single_uri(artifacts)}/{file}") as opened:
        return opened.read()


class Pusher(base_component.BaseComponent):
    """Releases a blessed model into `<serving_dir>/<version>/`, which TensorFlow Serving reads.

    Args:
      model: the candidate.
      model_blessing: the release gate's.
      infra_blessing: that of the model checks.
      examples: the rows, with their span.
      history: of the training.
      evaluation: the Evaluator's.
      data_verdict: by which the rows were let through; `checks_verdict` and `release_verdict` likewise.
      provenance: settings and source, for the model card.
      serving_dir: the directory of versions.
      fingerprint: of the source; part of the cache key.
    """

    SPEC_CLASS = PusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        model: types.BaseChannel,
        model_blessing: types.BaseChannel,
        infra_blessing: types.BaseChannel,
        examples: types.BaseChannel,
        history: types.BaseChannel,
        evaluation: types.BaseChannel,
        data_verdict: types.BaseChannel,
        checks_verdict: types.BaseChannel,
        release_verdict: types.BaseChannel,
        provenance: Provenance,
        serving_dir: str,
        fingerprint: str,
    ) -> None:
        spec = PusherSpec(
            model=model,
            model_blessing=model_blessing,
            infra_blessing=infra_blessing,
            examples=examples,
            history=history,
            evaluation=evaluation,
            data_verdict=data_verdict,
            checks_verdict=checks_verdict,
            release_verdict=release_verdict,
            provenance=provenance.model_dump_json(),
            serving_dir=serving_dir,
            fingerprint=fingerprint,
            pushed_model=types.Channel(type=standard_artifacts.PushedModel),
            release=types.Channel(type=Release),
        )
        super().__init__(spec=spec)
