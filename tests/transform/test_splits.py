"""The parts that experiments train on, choose by and measure on: no exercise is in two of them."""

from itertools import combinations

from tests.bench.data import three_parts


def test_no_exercise_of_an_experiment_is_in_two_parts_whatever_its_words():
    parts = three_parts(3000, seed=5, max_value=10)
    assert [set(part.split) for part in parts] == [{"train"}, {"eval"}, {"test"}]
    assert len(parts[0].split) == len(parts[0].rows.y) == 3000
    found = [set(part.key) for part in parts]
    assert all(found)
    assert not any(one & other for one, other in combinations(found, 2))
    # The keys are what the rows ask: as many as there are operators and unordered pairs of 19 values.
    assert len(set.union(*found)) > 0.95 * 3 * 19 * 20 / 2
