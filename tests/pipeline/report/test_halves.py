"""Two processes make what one would make, in the same order, and nothing is left of the other one."""

import multiprocessing
import os
from functools import partial

import pytest

from maskline.pipeline.report.halves import in_halves


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_order_is_kept(count):
    assert in_halves([partial(int, n) for n in range(count)]) == list(range(count))
    assert multiprocessing.active_children() == []


def test_every_second_one_is_made_elsewhere():
    here, there, again = in_halves([os.getpid] * 3)
    assert here == again == os.getpid() != there


def test_half_whose_process_ends_is_made_here():
    this = os.getpid()
    assert in_halves([lambda: 0, lambda: 1 if os.getpid() == this else os._exit(1)]) == [0, 1]


def test_what_is_wrong_is_raised():
    with pytest.raises(ZeroDivisionError):
        in_halves([lambda: 0, lambda: 1 / 0])
    assert multiprocessing.active_children() == []
