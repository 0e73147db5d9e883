"""Models as they may come out of an export: broken on purpose, asked by the real probe, refused by name."""

from collections.abc import Callable
from typing import Any

import keras
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from tfx.types.standard_artifacts import InfraBlessing, Model

from maskline.components.artifacts import GoldenRows, VerdictArtifact
from maskline.components.model_checks.asking import OURS, answers_of
from maskline.components.model_checks.checks import ModelChecksSettings, judge_export
from maskline.components.model_checks.component import Executor
from maskline.components.verdict import Outcome, read_verdict
from maskline.trainer import layers  # noqa: F401, registers them with Keras
from maskline.trainer.export import export
from maskline.trainer.golden import write_golden_rows
from maskline.trainer.signatures import ServedModel
from maskline.transform import sequences
from maskline.transform.features import SequenceSpec
from tests.support import show

pytestmark = pytest.mark.slow

SPEC = SequenceSpec()
CHECKS = {"alone", "finite", "golden", "batch", "padding", "mask", "malformed", "latency", "memory"}
STRICT = ModelChecksSettings(mask="block", latency_p50_ms=1e6, latency_p95_ms=1e6, memory_mb=1e6)


class Careless(ServedModel):
    """Answers rows by what stands beside them, and texts whatever they say."""

    def serve_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        answers = super().serve_examples(examples)
        return {**answers, "logits": answers["logits"] + tf.reduce_mean(answers["logits"], axis=0)}

    def serve_text(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        rows = tf.shape(text, tf.int64)[0]
        return self._answer({name: sequences.column(3, rows) for name in self._spec.features})


@pytest.fixture(scope="module")
def changed(finished, tmp_path_factory):
    """Exports the finished run's model with its description edited; gives the folder, with golden rows."""
    [transform] = finished.root.glob("artifacts/Transform/transform_graph/*")
    transform = tft.TFTransformOutput(str(transform))
    raw = [str(path) for path in finished.root.glob("artifacts/ExampleGen/examples/*/Split-test/*")]

    def changed(edit: Callable[[dict[str, Any]], None], served_as: Callable[..., ServedModel] = ServedModel):
        folder = tmp_path_factory.mktemp("export")
        whole = keras.saving.load_model(finished.served / "assets.extra/model.keras")
        config = whole.get_config()
        edit({part["name"]: part for part in config["layers"]})
        model = keras.Model.from_config(config)
        model.set_weights(whole.get_weights())
        served = served_as(model, transform, SPEC)
        uri = folder / "model" / "Format-Serving"
        export(model, served, SPEC, str(uri), identity="changed")
        (folder / "golden").mkdir()
        write_golden_rows(served, raw, str(folder / "golden/golden.tfrecord.gz"))
        return folder

    return changed


@pytest.fixture(scope="module")
def query_masked(changed):
    """Trained and exported alike with the mask on the query axis, and all else in order."""

    def change(parts):
        parts["reflect"]["config"].update(mask_axis="queries")
        parts["x"]["config"]["batch_shape"] = [None, 20]  # of one length, as models that leak are built

    return changed(change)


def blocking(verdict):
    return {check.name for check in verdict.blocking}


def test_good_model_passes_every_check_and_each_reports_its_figure(finished):
    checks = show(finished.root)["verdicts"]["ModelChecks"]["checks"]
    assert {check["name"] for check in checks} == CHECKS
    assert {check["outcome"] for check in checks} == {"passed"}
    measured = {(check["name"], check["subject"]): check["measured"] for check in checks}
    assert measured["alone", ""] == "none of our packages can be imported"
    assert measured["mask", ""] == "nothing does (1 lookup, 2 attentions, 0 reshapes)"
    assert measured["malformed", ""] == "14 of 14 are"
    assert {subject for name, subject in measured if name == "finite"} == {
        "serving_default", "serving_text", "transform_features", "serving_default_rows", "serving_text_rows",
    }  # fmt: skip
    assert float(measured["latency", "p50"].removesuffix(" ms")) > 0
    assert float(measured["memory", ""].removesuffix(" MiB")) > 100
    for signature in ("serving_default", "serving_text"):
        assert float(measured["golden", signature].removesuffix(" away")) <= 1e-5


def test_mask_on_the_query_axis_is_refused_by_name(query_masked):
    verdicts, blessings = [VerdictArtifact()], [InfraBlessing()]
    model, golden = Model(), GoldenRows()
    model.uri, golden.uri = str(query_masked / "model"), str(query_masked / "golden")
    verdicts[0].uri, blessings[0].uri = str(query_masked / "verdict"), str(query_masked / "blessing")
    Executor().Do(
        {"model": [model], "golden_rows": [golden]},
        {"verdict": verdicts, "blessing": blessings},
        {"settings": STRICT.model_dump_json()},
    )
    [check] = read_verdict(query_masked / "verdict").blocking
    assert str(check).startswith("padding reaches answers: up to ")
    assert str(check).endswith(" of a position's attention is on padding")
    assert blessings[0].get_int_custom_property("blessed") == 0
    assert verdicts[0].passed == 0
    assert [path.name for path in (query_masked / "blessing").iterdir()] == ["INFRA_NOT_BLESSED"]


def test_limits_are_those_of_the_settings(query_masked):
    golden = query_masked / "golden/golden.tfrecord.gz"
    answers = answers_of(str(query_masked / "model/Format-Serving"), str(golden))
    tight = ModelChecksSettings(latency_p50_ms=1e-6, latency_p95_ms=1e-6, memory_mb=1, tolerance=1e-12)
    verdict = judge_export(answers, tight.for_model(padding_leaks=True))
    assert blocking(verdict) == {"golden", "latency", "memory"}
    [mask] = [check for check in verdict.checks if check.name == "mask"]
    assert mask.outcome is Outcome.WARNED
    assert blocking(judge_export(answers, STRICT)) == {"mask"}


def test_mask_lost_on_export_and_careless_signatures_are_refused_by_name(changed, query_masked):
    """No id is padding, so nothing is masked; the golden rows are those of a masked model."""

    def compare_with_no_id(parts):  # Keras keeps the mask as an operation of its own: id != padding
        [node] = parts["not_equal"]["inbound_nodes"]
        node["args"] = (node["args"][0], -1)

    folder = changed(compare_with_no_id, Careless)
    golden = query_masked / "golden/golden.tfrecord.gz"
    verdict = judge_export(answers_of(str(folder / "model/Format-Serving"), str(golden)), STRICT)
    assert blocking(verdict) == {"golden", "batch", "padding", "mask", "malformed"}
    found = {check.name: check.measured for check in verdict.blocking}
    assert "; noise in padding changes " in found["mask"]
    assert found["malformed"] == (
        "10 of 14 are; answered: an unknown symbol (serving_text), a segment too many (serving_text), "
        "a row that is too long (serving_text), nothing (serving_text)"
    )
    assert {check.subject for check in verdict.blocking if check.name == "golden"} == {
        "serving_default", "serving_text",
    }  # fmt: skip


def test_model_that_cannot_be_loaded_or_asked_is_refused(finished, tmp_path):
    [golden] = finished.root.glob("artifacts/Trainer/golden_rows/*/golden.tfrecord.gz")
    assert "error" in answers_of(str(tmp_path), str(golden))
    for answers in ({"error": "gone"}, {name: {"error": "gone"} for name in ANSWERS}):
        verdict = judge_export(answers, STRICT)
        assert not verdict.passed
        assert {check.measured for check in verdict.checks} == {"gone"}


ANSWERS = {
    "packages": [], "finite": {"serving_default": 0}, "golden": {"serving_default": 0.0}, "batch": 0.0,
    "padding": 0.0, "mask": {"attention": 0, "changed": 0, "flattened": 0, "lookups": 1, "softmaxes": 1,
    "reshapes": 1}, "malformed": {"answered": [], "refused": 1}, "latency": {"p50_ms": 1, "p95_ms": 1},
    "memory": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("packages", list(OURS)),
        ("finite", {"serving_default": 3}),
        ("golden", {"serving_default": float("nan")}),
        ("batch", float("nan")),
        ("padding", 1e-4),
        ("mask", ANSWERS["mask"] | {"flattened": 0.1}),
        ("mask", ANSWERS["mask"] | {"changed": 0.1}),
        ("mask", {"error": "no lookup was found"}),
    ],
)
def test_each_figure_alone_blocks(question, answer):
    assert judge_export(ANSWERS, STRICT).passed
    assert blocking(judge_export(ANSWERS | {question: answer}, STRICT)) == {
        "alone" if question == "packages" else question
    }
