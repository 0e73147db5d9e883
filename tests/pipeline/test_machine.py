"""What libraries say where the machine refuses, as they say it, and what a person is told."""

import pytest

from maskline.pipeline.machine import in_words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            OSError(28, "No space left on device", "/root/a"),
            "no space left on /root/a; make room, then run again",
        ),
        (
            RuntimeError("OSError: [Errno 28] No space left on device: '/root/b' [while running 'Write']"),
            "no space left on /root/b; make room, then run again",
        ),
        (
            ValueError(
                "/root/c/variables.data; No space left on device [Op:SaveV2]\n  File /lib/x.py, line 3"
            ),
            "no space left on /root/c/variables.data; make room, then run again",
        ),
        (
            Exception("Error when executing query: database or disk is full query: INSERT INTO `Artifact`"),
            "no space left; make room, then run again",
        ),
        (
            PermissionError(13, "Permission denied", "/root/d"),
            "permission is missing on /root/d; give write ",
        ),
        (
            OSError(30, "Read-only file system", "/root"),
            "the file system is read-only on /root; give another ",
        ),
        (
            OSError(24, "Too many open files", "/data/a"),
            "too many open files on /data/a; raise `ulimit -n`, ",
        ),
        (
            OSError(27, "File too large", "/root/e"),
            "a file may grow no further on /root/e; raise `ulimit -f`",
        ),
        (MemoryError(), "out of memory; give more memory, "),
        (Exception("OOM when allocating tensor with shape[100000,100000]"), "out of memory; give more "),
        (
            Exception("Error when executing query: database is locked"),
            "the metadata store is held by another",
        ),
    ],
)
def test_a_refusal_is_told_with_its_place_and_what_to_do(error, words):
    assert in_words(error).startswith(words)
    wrapped = RuntimeError("the step failed")
    wrapped.__cause__ = error
    assert in_words(wrapped) == in_words(error)


def test_what_is_full_and_how_much_is_needed_are_told_where_they_are_known(tmp_path):
    error = OSError(28, "No space left on device")
    assert in_words(error, root=tmp_path, megabytes=7) == (
        f"no space left on {tmp_path}: 7 MB needed; make room, then run again"
    )


@pytest.mark.parametrize(
    "error", [ValueError("wrong"), FileNotFoundError(2, "No such file", "/x"), KeyError()]
)
def test_other_errors_are_not_the_machines(error):
    assert in_words(error) is None


def put_in_other_words():
    try:
        raise OSError(28, "No space left on device")
    except OSError:
        raise ValueError("other words") from None


def test_an_error_that_was_put_in_other_words_is_not_looked_behind():
    with pytest.raises(ValueError, match="other words") as raised:
        put_in_other_words()
    assert in_words(raised.value) is None
