"""Numbers of a row reach its answer and no other one's, and padding reaches none."""

from contextlib import closing

import keras
import numpy as np
import pytest

from maskline.trainer.dataset import Rows, in_order, read_rows, stacks
from maskline.trainer.mask_lint import mask_findings
from maskline.trainer.model import build_model
from maskline.trainer.settings import ModelSettings
from maskline.transform import stored
from maskline.transform.features import NUMERIC, ROW, TARGET, SequenceSpec
from maskline.transform.task import TaskSpec

TASKS = {
    "first": TaskSpec(),
    "class": TaskSpec(kind="class", classes=("no", "yes")),
    "whole": TaskSpec(kind="whole", length=3),
}
SMALL = {"width": 4, "hidden": (4,), "kernel": 3}


@pytest.mark.parametrize(("kind", "queries"), [("first", 0), ("first", 2), ("class", 2), ("whole", 2)])
def test_masks_hold_and_numbers_count(kind, queries):
    keras.utils.set_random_seed(0)
    spec = SequenceSpec(length=6, task=TASKS[kind], numeric={"heat": 1, "place": 2})
    model = build_model(spec, ModelSettings(**SMALL, queries=queries))
    ids = np.array([[3, 4, 5, 0, 0, 0], [3, 9, 0, 0, 0, 0], [4, 4, 4, 4, 4, 4]], np.int32)
    rows = {ROW: ids, NUMERIC: np.float32([[1, 2, 3], [0, 0, 0], [-1, 0, 1]])}
    assert mask_findings(model, rows) == []
    answers = model(rows).numpy()
    assert answers.shape == (3, *((3,) if kind == "whole" else ()), len(spec.answers))
    for place in range(spec.numbers):
        other = rows[NUMERIC].copy()
        other[1, place] += 1
        changed = (model({**rows, NUMERIC: other}).numpy() != answers).reshape(3, -1).any(axis=1)
        assert changed.tolist() == [False, True, False]


def test_rows_keep_their_numbers_on_disk_and_in_every_batch(tmp_path, monkeypatch):
    spec = SequenceSpec(length=4, numeric={"heat": 2})
    monkeypatch.setattr("maskline.trainer.dataset._IN_MEMORY", 600)  # so that they are sorted on disk, too
    monkeypatch.setattr("maskline.trainer.dataset._AT_ONCE", 16)
    columns = stored.columns_of({ROW: ("i", 4), TARGET: ("i", 1), NUMERIC: ("f", 2)})
    with closing(stored.RowsWriter(open(tmp_path / "rows.arrow", "wb"), columns)) as writer:
        for part in np.split(np.arange(50), 5):
            x = np.column_stack([part % 7 + 3, part // 7 + 3, 0 * part, 0 * part])
            numbers = np.column_stack([part % 7 - 0.1, part // 7 + 1e-9])
            writer.write({ROW: x, TARGET: np.full(10, 3), NUMERIC: numbers.astype(np.float32)})
    rows = read_rows([str(tmp_path / "*.arrow")], spec, tmp_path)
    assert len(np.unique(rows.x, axis=0)) == 50

    def check(x, numbers):
        np.testing.assert_array_equal(numbers[:, 0], (x[:, 0] - 3 - 0.1).astype(np.float32))
        np.testing.assert_array_equal(numbers[:, 1], (x[:, 1] - 3 + 1e-9).astype(np.float32))

    check(rows.x.astype(float), rows.numeric)
    changed = rows._replace(numeric=np.zeros_like(rows.numeric))
    assert len({rows.digest(), changed.digest(), Rows(rows.x, rows.y).digest()}) == 3
    made = list(stacks(rows, steps=2, batch_size=8, lengths=(4,), seed=0, epochs=[0]))
    seen = 0
    for x, _, weights, _ in made:
        real = weights.numpy().ravel() > 0
        ids, numbers = (x[name].numpy().reshape(16, -1)[real] for name in (ROW, NUMERIC))
        check(ids.astype(float), numbers)
        seen += len(ids)
    assert seen == 50
    for x, *_ in in_order(rows, batch_size=7):
        check(x[ROW].numpy().astype(float), x[NUMERIC].numpy())
