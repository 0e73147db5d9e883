"""A model that does not fit is refused by its settings' names, before TensorFlow is loaded."""

import pytest

from maskline.pipeline.local import memory
from maskline.trainer.settings import TrainerSettings
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec
from tests.support import GOOD, maskline, write_shard

SPEC = SequenceSpec()


@pytest.mark.parametrize(
    "given",
    [
        {"model": {"width": 2048}},
        {"model": {"hidden": [65_536]}},
        # More weights than values: such batches are not divided.
        {"model": {"hidden": [10_000]}, "training": {"batch_size": 65_536}},
    ],
)
def test_what_does_not_fit_is_refused(given, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 100 << 20)
    with pytest.raises(
        InputError, match=r"take at least [\d,]+ MB of memory; [\d,]+ MB are available. Lower"
    ):
        memory.check(SPEC, TrainerSettings.model_validate(given))


def test_a_batch_that_is_divided_takes_the_memory_of_a_part(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 100 << 20)
    memory.check(SPEC, TrainerSettings.model_validate({"training": {"batch_size": 65_536}}))
    memory.check(SPEC, TrainerSettings.model_validate({"model": {"hidden": [10_000]}}))


def test_the_defaults_fit_into_little(monkeypatch, tmp_path):
    (tmp_path / "memory.max").write_text(f"{64 << 20}\n")
    monkeypatch.setattr(memory, "_OF_CONTAINER", tmp_path / "memory.max")
    assert memory.available() == 64 << 20
    memory.check(SPEC, TrainerSettings())


@pytest.mark.parametrize("text", ["max\n", None])
def test_a_container_without_a_limit_has_what_the_machine_has(monkeypatch, tmp_path, text):
    if text:
        (tmp_path / "memory.max").write_text(text)
    monkeypatch.setattr(memory, "_OF_CONTAINER", tmp_path / "memory.max")
    assert memory.available() > 64 << 20


def test_the_command_says_so_at_once(tmp_path):
    write_shard(tmp_path / "data/a.tfrecord", [GOOD])
    done = maskline(
        "run", "--data", tmp_path / "data", "--root", tmp_path / "root", "--set", "model.width=65536"
    )
    assert done.returncode == 2
    assert done.stderr.startswith("maskline: model: 51,5")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "root").exists()
