"""What is noted of attention: the model's mask leaves nothing for padding, the published one does."""

import numpy as np
import pytest

from maskline.trainer.attention import note_attention
from maskline.trainer.dataset import Rows
from maskline.trainer.model import build_model
from maskline.trainer.settings import ModelSettings
from maskline.transform.features import SequenceSpec

SPEC = SequenceSpec(length=60)


def held_out(*lengths):
    x = np.zeros((len(lengths), SPEC.length), np.uint8)
    for row, length in enumerate(lengths):
        x[row, :length] = np.arange(length) % 15 + 3
    return Rows(x, np.ones(len(lengths), np.uint8))


@pytest.mark.parametrize("preset", ["default", "length-free"])
def test_padding_gets_nothing_and_with_the_published_mask_something(preset):
    found = note_attention(build_model(SPEC, ModelSettings(preset=preset)), held_out(9, 5, 14), SPEC)
    assert found.mask == "keys"
    assert [sum(not pad for pad in row.padding) for row in found.rows] == [5, 9, 14]
    for row in found.rows:
        real = ~np.array(row.padding)
        ours, published = np.array(row.weights)[real], np.array(row.reference)[real]
        assert (ours[:, ~real] == 0).all()
        assert (published[:, ~real] > 0).all()
        assert ours.sum(-1) == pytest.approx(1, abs=0.01)
        assert row.on_padding == 0 < row.reference_on_padding < 1
        assert row.left_out == SPEC.length - len(row.symbols) > 0


def test_long_row_keeps_both_sides_of_its_end():
    [row] = note_attention(build_model(SPEC, ModelSettings(preset="default")), held_out(40), SPEC).rows
    assert 0 < sum(row.padding) < len(row.padding) < SPEC.length
    assert row.padding == tuple(sorted(row.padding))


def test_nothing_to_look_at_is_none():
    assert note_attention(build_model(SPEC, ModelSettings(preset="default")), held_out(), SPEC) is None
