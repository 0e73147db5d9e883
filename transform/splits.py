"""Deals rows out to splits by a hash, so that what belongs together stays together. No tensors, no files."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from maskline.transform.names import EVAL, TEST, TRAIN

DIGEST_BYTES = 32
_BUCKETS = 100  # of the keys, that the percentage of the train split is counted in
_PLAIN = frozenset({bool, int, float, str, bytes})
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
    rest, bucket = divmod(hashed, _BUCKETS)
    if bucket < train_percent:
        return TRAIN
    return TEST if rest % _PARTS < round(test_share * _PARTS) else EVAL


def splits_of(digests: Sequence[bytes], *, train_percent: int, test_share: float) -> NDArray[np.str_]:
    """`split_of` for many digests at once.

    Args:
      digests: [keys] of `DIGEST_BYTES` each, the highest first.
      train_percent: see `split_of`; so is
      test_share: explained there.

    Returns:
      [keys] names of splits.
    """
    # Long division by the number of buckets and parts, 32 bits at a time.
    hashed: NDArray[np.uint64] = np.zeros(len(digests), np.uint64)
    for limb in np.frombuffer(b"".join(digests), ">u4").reshape(-1, DIGEST_BYTES // 4).T:
        hashed = ((hashed << 32) + limb) % (_BUCKETS * _PARTS)
    rest, bucket = hashed // _BUCKETS, hashed % _BUCKETS
    held_out = np.where(rest < round(test_share * _PARTS), TEST, EVAL)
    return np.where(bucket < train_percent, TRAIN, held_out)


def encoded(key: object) -> bytes:
    """A key as bytes: equal for equal keys, on every machine and in every process.

    Args:
      key: text, bytes, a number, True or False, or a tuple or list of these.

    Raises:
      TypeError: it is something else, such as None, or a set, whose order is not always the same.
    """
    is_plain = type(key) is tuple and _PLAIN.issuperset(map(type, key))
    return repr(key if is_plain else _plain(key)).encode()


def _plain(key: object) -> object:
    if isinstance(key, tuple | list):
        return tuple(_plain(part) for part in key)
    if isinstance(key, bool | int | float | str | bytes):
        return key
    if isinstance(number := getattr(key, "item", lambda: None)(), bool | int | float | str | bytes):
        return number  # numpy's
    raise TypeError(f"a key is text, bytes, a number or a tuple of these, and not {type(key).__name__}")
