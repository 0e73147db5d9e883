import pytest
from pydantic import ValidationError

from maskline.trainer.recipe import TrainingRecipe
from maskline.trainer.settings import ModelSettings, TrainerSettings, TrainingSettings
from maskline.transform.features import SequenceSpec

RECIPE = TrainingRecipe(sequence=SequenceSpec(), settings=TrainerSettings(), fingerprint="0123")
ROWS = {"train": "a", "held_out": "b"}


def test_identity_changes_with_everything_a_model_depends_on():
    seed = TrainerSettings(training=TrainingSettings(seed=1))
    width = TrainerSettings(model=ModelSettings(width=16))
    names = [
        RECIPE.identity(**ROWS),
        RECIPE.identity(train="b", held_out="a"),
        RECIPE.identity(**ROWS, base="c"),
        RECIPE.model_copy(update={"settings": seed}).identity(**ROWS),
        RECIPE.model_copy(update={"settings": width}).identity(**ROWS),
        RECIPE.model_copy(update={"fingerprint": "4567"}).identity(**ROWS),
        RECIPE.model_copy(update={"sequence": SequenceSpec(length=21)}).identity(**ROWS),
    ]
    assert len(set(names)) == len(names)
    assert all(len(name) == 64 for name in names)


def test_identity_is_the_same_after_a_round_trip():
    again = TrainingRecipe.model_validate_json(RECIPE.model_dump_json())
    assert again.identity(**ROWS) == RECIPE.identity(**ROWS)


def test_nothing_else_gets_into_a_recipe():
    with pytest.raises(ValidationError, match="checkpoints"):
        TrainingRecipe.model_validate({**RECIPE.model_dump(), "checkpoints": "/root/checkpoints"})
