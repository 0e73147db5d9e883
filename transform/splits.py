"""Deals rows out to splits by a hash, so that what belongs together stays together. No tensors, no files."""

import hashlib

from maskline.transform.names import EVAL, TEST, TRAIN

_PARTS = 10_000  # of the held-out rows, that a share is counted in


def key_digest(key: bytes) -> int:
    """The hash that decides where a key's rows go: 256 evenly spread bits."""
    return int.from_bytes(hashlib.sha256(key).digest(), "big")


def split_of(hashed: int, *, train_percent: int, test_share: float) -> str:
    """The split of all rows whose key has this digest.

    Args:
      hashed: of the row itself, or of what it has in common with the rows that it belongs to.
      train_percent: of the keys, those that become the train split.
      test_share: of the other keys, those that become the test split. Whatever it is, no key of the train
        split becomes a test.
    """
    rest, bucket = divmod(hashed, 100)
    if bucket < train_percent:
        return TRAIN
    return TEST if rest % _PARTS < round(test_share * _PARTS) else EVAL


def encoded(key: object) -> bytes:
    """A key as bytes: equal for equal keys, on every machine and in every process.

    Args:
      key: text, bytes, a number, True or False, or a tuple or list of these.

    Raises:
      TypeError: it is something else, such as None, or a set, whose order is not always the same.
    """
    return repr(_plain(key)).encode()


def _plain(key: object) -> object:
    if isinstance(key, tuple | list):
        return tuple(_plain(part) for part in key)
    if isinstance(key, bool | int | float | str | bytes):
        return key
    if isinstance(number := getattr(key, "item", lambda: None)(), bool | int | float | str | bytes):
        return number  # numpy's
    raise TypeError(f"a key is text, bytes, a number or a tuple of these, and not {type(key).__name__}")
