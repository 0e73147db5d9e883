"""Whole answers: what of a label counts, what is right, and how far an answer is from it."""

import functools
import random

import numpy as np
import pytest

from maskline.transform import whole

PAD = 0
LABEL = np.array([[3, 4, 0, 0], [5, 0, 0, 0], [1, 2, 3, 4]])


def test_positions_count_up_to_the_end_and_with_it():
    expected = [[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1]]
    np.testing.assert_array_equal(whole.real_positions(LABEL, PAD), np.array(expected, bool))
    np.testing.assert_array_equal(whole.lengths(LABEL, PAD), [2, 1, 4])


@pytest.mark.parametrize("junk", [1, 5, 9])
def test_what_stands_behind_the_end_changes_nothing(junk):
    noisy = LABEL.copy()
    noisy[0, 3], noisy[1, 2:] = junk, junk
    for ids in (LABEL, noisy):
        np.testing.assert_array_equal(whole.real_positions(ids, PAD), whole.real_positions(LABEL, PAD))
        assert whole.same(LABEL, ids, PAD).all()
        assert whole.same(noisy, ids, PAD).all()
        assert not whole.edit_distance(noisy, ids, PAD).any()


def test_an_answer_is_right_only_with_its_end():
    too_long, too_short = np.array([[3, 4, 4, 0]]), np.array([[3, 0, 0, 0]])
    assert not whole.same(LABEL[:1], too_long, PAD).any()
    assert not whole.same(LABEL[:1], too_short, PAD).any()


def test_the_probability_is_the_product_up_to_the_end_of_the_answer():
    probability = np.array([[[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]], [[0.2, 0.8], [0.4, 0.6], [0.4, 0.6]]])
    ids, of_answer = whole.answered(probability, PAD)
    np.testing.assert_array_equal(ids, [[1, 0, 1], [1, 1, 1]])
    np.testing.assert_allclose(of_answer, [0.9 * 0.8, 0.8 * 0.6 * 0.6])


def by_definition(a, b):
    """Levenshtein's distance, by its definition."""

    @functools.cache
    def distance(i, j):
        if not i or not j:
            return i + j
        same = distance(i - 1, j - 1) + (a[i - 1] != b[j - 1])
        return min(same, distance(i - 1, j) + 1, distance(i, j - 1) + 1)

    return distance(len(a), len(b))


def test_edit_distances_are_those_of_the_definition():
    rng = random.Random(0)
    texts = [[[rng.randint(1, 3) for _ in range(rng.randint(0, 5))] for _ in range(2)] for _ in range(200)]
    label, ids = (np.array([text[k] + [PAD] * (5 - len(text[k])) for text in texts]) for k in (0, 1))
    expected = [by_definition(tuple(a), tuple(b)) for a, b in texts]
    np.testing.assert_array_equal(whole.edit_distance(label, ids, PAD), expected)
