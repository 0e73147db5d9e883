"""A run in MLflow's terms, and settings that name no server."""

import pytest

from maskline.pipeline.local.depends import depends_on
from maskline.pipeline.settings.load import load
from maskline.pipeline.tracking import after
from maskline.pipeline.tracking.described import metric_name
from maskline.transform.errors import InputError


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("test/operator=+/accuracy", "test/operator:plus-sign/accuracy"),
        ("test/length=16+/loss", "test/length:16plus-sign/loss"),
        ("test/text=<pad>", "test/text:less-than-signpadgreater-than-sign"),
        ("a\x1bb", "au-1bb"),
        ("é" * 300, ("latin-small-letter-e-with-acute" * 300)[:250]),
    ],
)
def test_metric_names_are_those_that_mlflow_takes(text, name):
    from mlflow.utils.validation import validate_param_and_metric_name

    assert metric_name(text) == name
    assert validate_param_and_metric_name(name)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("sqlite:///mlflow.db", "is not a URL"),
        ("mlflow:5000", "is not a URL"),
        ("http://me:secret@mlflow:5000", "'mlflow:5000' holds a password; MLFLOW_TRACKING_USERNAME"),
    ],
)
def test_wrong_address_is_one_line_without_secrets(value, problem):
    with pytest.raises(InputError) as refused:
        load(None, [f"tracking.mlflow={value}"])
    assert "tracking.mlflow: " in str(refused.value)
    assert problem in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_server_changes_nothing_that_a_run_depends_on():
    with_server = load(None, ["tracking.mlflow=http://127.0.0.1:1"])
    assert depends_on(load(), "", []) == depends_on(with_server, "", [])


def test_client_that_is_missing_is_named_before_anything_runs(monkeypatch):
    monkeypatch.setattr(after, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="needs the package mlflow-skinny"):
        after.check(load(None, ["tracking.mlflow=http://127.0.0.1:1"]))
    after.check(load())
