"""How much a class counts."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from maskline.trainer.class_weights import class_weights
from maskline.transform.features import SequenceSpec
from maskline.transform.task import TaskSpec

SPEC = SequenceSpec(task=TaskSpec(kind="class", classes=("a", "b", "c", "d")))
LABELS = np.array([0] * 90 + [1] * 9 + [3], np.uint8)  # none is of class c


def test_balanced_weights_are_those_of_scikit_learn():
    ours = class_weights(LABELS, SPEC, "balanced")
    theirs = compute_class_weight("balanced", classes=np.unique(LABELS), y=LABELS)
    np.testing.assert_allclose(ours[[0, 1, 3]], theirs, rtol=1e-6)
    assert ours[2] == 1
    sums = np.bincount(LABELS, weights=ours[LABELS])
    np.testing.assert_allclose(sums[[0, 1, 3]], sums[0], rtol=1e-6)


@pytest.mark.parametrize(("chosen", "expected"), [("none", None), ({"b": 2.5}, [1, 2.5, 1, 1])])
def test_weights_as_chosen(chosen, expected):
    found = class_weights(LABELS, SPEC, chosen)
    assert (None if found is None else found.tolist()) == expected


def test_labels_of_ids_are_counted_and_places_without_one_are_not():
    spec = SPEC.model_copy(update={"task": TaskSpec(kind="each", feature="op", classes=("a", "b", "c", "d"))})
    of_ids = np.concatenate([LABELS, np.full(40, spec.no_label, np.uint8)]).reshape(-1, 20)
    np.testing.assert_array_equal(
        class_weights(of_ids, spec, "balanced"), class_weights(LABELS, SPEC, "balanced")
    )
