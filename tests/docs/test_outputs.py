"""Output blocks of the docs: how they are compared, and those that need no pipeline run."""

import pytest

from tests.docs.outputs import assert_documented, refreshed
from tests.support import maskline


def compare(documented: str, printed: str, *, exact: bool = False, in_order: bool = True) -> list[str]:
    return refreshed(documented.splitlines(), printed.splitlines(), exact=exact, in_order=in_order)


def test_figures_are_compared_by_shape_and_brought_up_to_date():
    assert compare("$ show\nloss 0.51\n", "loss 1.2\n") == ["$ show", "loss 1.2"]
    made, other = "50fec8c7-be4f-4b29-8875-22b4642fe94b", "03608132-b940-438c-96ac-250b46efb9d5"
    assert compare(f"schedule ({made})\n", f"schedule ({other})\n") == [f"schedule ({other})"]
    replayed = "replayed-86095068.tfrecord"  # a digest of digits alone
    assert compare("replayed-587c3402.tfrecord", replayed) == [replayed]


@pytest.mark.parametrize(
    ("documented", "printed", "problem"),
    [
        ("a\nb", "a", "a line that was not printed: 'b'"),
        ("a", "a\nb", "printed, but not in the docs: 'b'"),
        ("a\nc", "a\nb\nc", "printed, but not in the docs: 'b', before 'c'"),
        ("b\na", "a\nb", "printed, but not in the docs: 'a', before 'b'"),
        ("loss 1", "accuracy 1", "a line that was not printed: 'loss 1'"),
        ("loss 1 …", "accuracy 1", "a line that was not printed: 'loss 1 …'"),
    ],
)
def test_other_words_lines_and_orders_are_told_apart(documented, printed, problem):
    with pytest.raises(AssertionError, match=problem):
        compare(documented, printed)


def test_exact_blocks_hold_the_same_figures():
    with pytest.raises(AssertionError, match="was not printed: 'loss 1'"):
        compare("loss 1", "loss 2", exact=True)


def test_ellipsis_stands_for_lines_and_for_the_rest_of_a_line():
    assert compare("a\n…\nd 3 of …", "a\nb\nc\nd 25 of 30 rows\n") == ["a", "…", "d 25 of …"]
    assert compare("…\nb\n…", "a\nb\nc") == ["…", "b", "…"]


def test_nodes_that_work_side_by_side_may_end_in_any_order():
    assert compare("✓ A 1 s\n✓ B 2 s", "✓ B 4 s\n✓ A 3 s", in_order=False) == ["✓ A 3 s", "✓ B 4 s"]


def test_statistics_of_the_reference_data(tmp_path):
    made = maskline("data", "--out", tmp_path / "data/reference")
    assert_documented("data", made.stdout, replace={f"{tmp_path}/": ""}, exact=True)
    done = maskline("data", "stats", tmp_path / "data/reference")
    assert_documented("stats", done.stdout, replace={f"{tmp_path}/": ""}, exact=True)
