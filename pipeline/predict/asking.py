"""Asks a model about batches of rows; a row that it refuses spoils none of the others."""

import numpy as np

from maskline.components.ingest.quarantine import QuarantinedRow
from maskline.pipeline.predict.library import Refused
from maskline.pipeline.predict.rows import RowBatch
from maskline.pipeline.predict.served import Answers, Signature
from maskline.transform.features import SequenceSpec
from maskline.transform.problems import Reason

_ROWS = 512  # of a batch: larger ones gain nothing, and fall out of the processor's cache
_POSITIONS = 1 << 15  # of a batch of long rows, whose attention takes memory by the square of their length


def rows_at_once(spec: SequenceSpec) -> int:
    """How many rows a batch has."""
    return max(1, min(_ROWS, _POSITIONS // spec.length))


def ask_rows(signature: Signature, batch: RowBatch, file: str) -> tuple[RowBatch, Answers | None]:
    """Asks about the good rows of a batch.

    Args:
      signature: of the model.
      batch: rows whose every known problem was found.
      file: that they are from.

    Returns:
      the batch, without rows that the model refuses all the same, which are set aside; and the answers to
      those that are left, or None where none is.
    """
    found, refused = _ask(signature, batch.values, 0)
    if refused:
        left = [place for place in range(len(batch.values)) if place not in refused]
        bad = [
            QuarantinedRow(batch.values[place], Reason.REFUSED, why, file, batch.records[place], 0)
            for place, why in refused.items()
        ]
        batch = RowBatch(
            [batch.records[place] for place in left],
            [batch.values[place] for place in left],
            [batch.keys[place] for place in left] if batch.keys else [],
            sorted([*batch.bad, *bad], key=lambda row: row.record),
        )
    return batch, _together(found) if found else None


def _ask(signature: Signature, values: list[bytes], first: int) -> tuple[list[Answers], dict[int, str]]:
    """Answers in pieces, and why rows were refused, by their place; `first` is that of the first value."""
    if not values:
        return [], {}
    try:
        return [signature.ask(values)], {}
    except Refused as error:
        if len(values) == 1:
            return [], {first: str(error)}
    middle = len(values) // 2
    left, right = _ask(signature, values[:middle], first), _ask(signature, values[middle:], first + middle)
    return left[0] + right[0], left[1] | right[1]


def _together(found: list[Answers]) -> Answers:
    if len(found) == 1:
        return found[0]
    return Answers(
        [symbol for answers in found for symbol in answers.symbols],
        np.concatenate([answers.probabilities for answers in found]),
        None if found[0].logits is None else np.concatenate([answers.logits for answers in found]),
    )
