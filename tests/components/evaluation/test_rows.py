"""Rows by the thousand fall into the slices that each falls into by itself."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from maskline.components.evaluation.rows import Lists, slices_of
from maskline.components.evaluation.slices import SliceSpec
from maskline.transform.features import SequenceSpec
from tests.fuzz import cases

SPEC = SequenceSpec()
NAMES = (*SPEC.features, SPEC.label)
ids = st.lists(st.integers(0, 19), min_size=0, max_size=6)
symbols = st.lists(st.sampled_from(SPEC.vocabulary), min_size=1, max_size=4)
ways = st.one_of(
    st.builds(lambda name, s: SliceSpec(name="a", feature=name, contains=s), st.sampled_from(NAMES), symbols),
    st.builds(lambda name, s: SliceSpec(name="a", feature=name, begins=s), st.sampled_from(NAMES), symbols),
    st.builds(
        lambda name, lengths: SliceSpec(name="a", feature=name, lengths=sorted(lengths)),
        st.sampled_from(["", *NAMES]),
        st.sets(st.integers(1, 14), min_size=1, max_size=3),
    ),
)


@cases(300)
@given(rows=st.lists(st.fixed_dictionaries(dict.fromkeys(NAMES, ids)), max_size=6), way=ways)
def test_slices_of_many_rows_are_those_of_each(rows, way):
    columns = {
        name: Lists(
            np.cumsum([len(row[name]) for row in rows], dtype=np.int64),
            np.array([i for row in rows for i in row[name]], np.int64),
        )
        for name in NAMES
    }
    assert slices_of(columns, [way], SPEC)["a"].tolist() == [way.value(row, SPEC) for row in rows]
