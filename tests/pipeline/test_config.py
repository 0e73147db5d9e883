"""Settings: one file, one line for each mistake."""

import pytest

from pipeline.config import Config, load
from tests.support import REPOSITORY
from transform.errors import InputError


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_file_in_the_repository_holds_the_defaults():
    fields = {"exclude": {"root": True, "data": {"path": True, "schema_file": True}}}
    assert load(REPOSITORY / "maskline.yaml").model_dump(**fields) == Config().model_dump(**fields)


def test_without_a_file_the_defaults_hold_here(elsewhere):
    config = load()
    assert config.root == elsewhere / "maskline-root"
    assert config.data.path == elsewhere / "data/reference"


def test_paths_in_a_file_are_relative_to_it(elsewhere):
    (elsewhere / "sub").mkdir()
    (elsewhere / "sub/my.yaml").write_text("root: r\ndata: {path: d, schema: s.pbtxt}")
    config = load(elsewhere / "sub/my.yaml")
    assert (config.root, config.data.path) == (elsewhere / "sub/r", elsewhere / "sub/d")
    assert config.data.schema_file == elsewhere / "sub/s.pbtxt"


def test_command_line_wins_over_file(elsewhere):
    (elsewhere / "maskline.yaml").write_text("training: {epochs: 3, seed: 4}\nroot: r")
    config = load(overrides=["training.epochs=7", "data.path=x", "model.width=9"], root="other", data="d")
    assert (config.training.epochs, config.training.seed, config.model.width) == (7, 4, 9)
    assert (config.root, config.data.path) == (elsewhere / "other", elsewhere / "d")


def test_vocabulary_may_be_a_file(elsewhere):
    (elsewhere / "words.txt").write_text("<pad>\nsep\nred\n")
    (elsewhere / "my.yaml").write_text("sequence: {vocabulary: words.txt, separator: sep, padding: <pad>}")
    assert load(elsewhere / "my.yaml").sequence.vocabulary == ("<pad>", "sep", "red")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("trainning: {}", "bad.yaml: trainning: no such setting; did you mean training? allowed: "),
        ("training: {epoch: 3}", "training.epoch: no such setting; did you mean epochs?"),
        (
            "training: {epochs: many}",
            "training.epochs: 'many' is not allowed: Input should be a valid integer",
        ),
        (
            "training: {epochs: 0}",
            "training.epochs: 0 is not allowed: Input should be greater than or equal to 1",
        ),
        ("training: 3", "training: 3 is not allowed"),
        ("sequence: {label: op}", "sequence: label 'op' is also an input in features"),
        ("sequence: {features: [a-b]}", "sequence.features.0: 'a-b' is not allowed"),
        ("sequence: {vocabulary: none.txt}", "sequence.vocabulary: "),
        ("data: {schemas: x}", "data.schemas: no such setting; did you mean schema?"),
        ("- a\n- b", "bad.yaml: holds a list; a mapping of settings is needed"),
        ("a: [", "bad.yaml: is not YAML"),
    ],
)
def test_mistake_in_a_file_is_one_line(elsewhere, text, problem):
    (elsewhere / "bad.yaml").write_text(text)
    with pytest.raises(InputError) as refused:
        load(elsewhere / "bad.yaml")
    assert problem in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("training.epochs", "write it as path.to.key=value"),
        ("=3", "write it as path.to.key=value"),
        ("training.epochs=[", "'[' is not YAML"),
        ("training.epochs=x", "--set: training.epochs: 'x' is not allowed"),
        ("a.b=1", "--set: a: no such setting"),
    ],
)
def test_mistake_in_an_override_is_one_line(elsewhere, override, problem):
    with pytest.raises(InputError) as refused:
        load(overrides=[override])
    assert problem in str(refused.value)
    assert "\n" not in str(refused.value)


def test_missing_file_is_named(elsewhere):
    with pytest.raises(InputError, match=r"none.yaml: cannot be read \(No such file"):
        load(elsewhere / "none.yaml")
