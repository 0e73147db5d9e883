"""How an executor says what it reads of its inputs, so that the rest need not be fetched from a bucket."""

from collections.abc import Mapping
from typing import ClassVar


class ReadsPart:
    """Base of an executor that reads less than all of its inputs.

    Attributes:
      READS: input → the folders below it that are read; none for an input of which only the record in the
        metadata store is used. An input that is not named is read whole.
    """

    READS: ClassVar[Mapping[str, tuple[str, ...]]] = {}


def reads_of(executor: type) -> Mapping[str, tuple[str, ...]]:
    """What an executor declares; nothing, and so all of every input, for one that is no `ReadsPart`."""
    return executor.READS if issubclass(executor, ReadsPart) else {}
