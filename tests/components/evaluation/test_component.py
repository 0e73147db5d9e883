"""The Evaluator pools the eval rows of several ingests, where that is asked."""

import json
import shutil

import pytest

from maskline.components.evaluation.quality import quality
from maskline.transform.features import SequenceSpec
from maskline.transform.names import IDENTITY_FILE
from tests.conftest import Finished

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("prepared", [False, True])
def test_eval_rows_of_all_ingests_are_pooled(finished: Finished, tmp_path, monkeypatch, prepared):
    """Twice the same rows: twice as many of each count, and the same metrics.

    What was prepared is not done again. The live model is there for another task: it is neither asked nor
    compared.
    """
    from tfx.types import standard_artifacts

    from maskline.components.evaluation import rows as module
    from maskline.components.evaluation.component import Executor, prepare
    from maskline.components.evaluation.report import CANDIDATE, read_evaluation
    from maskline.pipeline.settings.engine import BeamSettings

    def artifact(kind, uri):
        made = kind()
        made.uri = str(uri)
        return made

    [rows], [model], [once] = (
        list((finished.root / "artifacts" / part).iterdir())
        for part in ("ExampleGen/examples", "Trainer/model", "Evaluator/evaluation")
    )
    examples = [artifact(standard_artifacts.Examples, rows) for _ in range(2)]
    for ingest in examples:
        ingest.split_names = '["train", "eval", "test"]'
    context = Executor.Context(
        beam_pipeline_args=list(BeamSettings().args), tmp_dir=str(tmp_path / "tmp"), unique_id="1"
    )
    parameters = {"sequence": SequenceSpec().model_dump_json(), "slices": "[]", "settings": "{}"}
    if prepared:
        prepare({"training_examples": examples, "model": []}, parameters)
        monkeypatch.delattr(module, "read")
    Executor(context).Do(
        {
            "examples": examples,
            "training_examples": examples,
            "model": [artifact(standard_artifacts.Model, model)],
            "live_model": [artifact(standard_artifacts.Model, _for_classes(model, tmp_path / "live"))],
        },
        {"evaluation": [artifact(standard_artifacts.ModelEvaluation, tmp_path)]},
        parameters,
    )
    [pooled], single = read_evaluation(tmp_path).slices, read_evaluation(once).overall
    assert read_evaluation(tmp_path).split == read_evaluation(once).split == "test"
    assert pooled.rows == 2 * single.rows
    assert pooled.metrics[CANDIDATE]["accuracy"] == pytest.approx(single.metrics[CANDIDATE]["accuracy"])
    right = {symbol: counts.right for symbol, counts in single.classes[CANDIDATE].items()}
    doubled = {symbol: counts.right for symbol, counts in pooled.classes[CANDIDATE].items()}
    assert doubled == {symbol: 2 * count for symbol, count in right.items()}
    assert read_evaluation(tmp_path).other_task == {"live": "class"}
    assert set(pooled.metrics) == {CANDIDATE, "majority", "linear"}
    assert "The live model has another task (class), so it was not compared." in quality(
        read_evaluation(tmp_path)
    )


def test_tfma_loads_and_shows_every_figure(finished: Finished):
    """What TFMA's own loader and viewer give for each model and slice, although our evaluator wrote it."""
    import tfx.components  # noqa: F401, before TFMA

    # isort: split
    import tensorflow_model_analysis as tfma
    from tensorflow_model_analysis.view import util

    from maskline.components.evaluation.report import CANDIDATE, OVERALL, read_evaluation

    [folder] = (finished.root / "artifacts/Evaluator/evaluation").iterdir()
    report = read_evaluation(folder)
    for model in (CANDIDATE, "majority", "linear"):
        loaded = tfma.load_eval_result(str(folder), model_name=model)
        found = {
            "=".join(key[0]) if key else OVERALL: {
                name: value["doubleValue"] for name, value in figures[""][""].items()
            }
            for key, figures in loaded.slicing_metrics
        }
        assert found == {part.name: part.metrics[model] for part in report.slices}
        shown = util.get_slicing_metrics(loaded.slicing_metrics, slicing_column="length")
        assert {row["slice"] for row in shown} == {
            name.replace("=", ":") for name in found if name.startswith("length")
        }


def _for_classes(model, target):
    """A copy of a model that says it is for classes."""
    shutil.copytree(model, target)
    file = target / "Format-Serving" / IDENTITY_FILE
    known = json.loads(file.read_text())
    known["sequence"]["task"] = {"kind": "class", "classes": ["a", "b"]}
    file.write_text(json.dumps(known))
    return target


@pytest.mark.parametrize(
    ("window", "pool", "node"),
    [((1, 2), True, "Window"), ((1, 2), False, "ExampleGen"), ((), True, "ExampleGen")],
)
def test_rows_are_those_of_the_window_where_that_is_asked(window, pool, node):
    from maskline.pipeline.dag import create_pipeline
    from maskline.pipeline.settings.load import load

    config = load(overrides=[f"evaluation.pool_window={str(pool).lower()}"])
    pipeline = create_pipeline(config, schema_file="schema.pbtxt", window=window)
    [evaluator] = [component for component in pipeline.components if component.id == "Evaluator"]
    assert evaluator.inputs["examples"].producer_component_id == node
