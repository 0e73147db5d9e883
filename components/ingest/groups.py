"""Says what a row belongs to: the key that decides its split where `data.split_by` is set. No TensorFlow."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from maskline.components.ingest.quarantine import IngestReport
from maskline.transform import own_code
from maskline.transform.errors import InputError
from maskline.transform.names import TRAIN
from maskline.transform.problems import Reason, RowProblem
from maskline.transform.shown import shown
from maskline.transform.splits import encoded, key_digest

SETTING = "data.split_by"
Values = Mapping[str, Sequence[int] | Sequence[float] | Sequence[str]]


def key_of(values: Values, split_by: str) -> int | RowProblem:
    """The digest of a row's key, or why it has none.

    Args:
      values: feature → what the row holds of it, as it was delivered; bytes are text here.
      split_by: a feature, all of whose values are the key; or by its import path a function that gets
        `values` and returns text, a number, bytes or a tuple of these.

    Raises:
      InputError: the function cannot be imported.
    """
    if not own_code.is_path(split_by):
        if not (key := values.get(split_by)):
            text = f"feature {shown(split_by)} is missing or empty; {SETTING} needs it"
            return RowProblem(Reason.NO_GROUP, text)
        return key_digest(encoded(list(key)))
    function = _function(split_by)
    try:
        return key_digest(encoded(function(values)))
    except Exception as error:  # whatever the user's code raises
        why = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        return RowProblem(Reason.NO_GROUP, f"{split_by} failed ({why}); {SETTING} needs its answer")


@lru_cache(maxsize=4)
def _function(path: str) -> Callable[[Values], object]:
    return own_code.function(path, SETTING)  # for a process, and not for each row


def check_parts(split_by: str, report: IngestReport) -> None:
    """Makes sure that the key deals rows to more than one part.

    Args:
      split_by: the setting.
      report: of the ingest.

    Raises:
      InputError: all rows are in one part, or none has a key.
    """
    rows, without = sum(report.splits.values()), report.quarantined.get(Reason.NO_GROUP, 0)
    if without and not rows:
        why = next(row.reason for row in report.examples if row.kind == Reason.NO_GROUP)
        raise InputError(f"{SETTING}: {shown(split_by)} gives none of {without:,} rows a key: {why}")
    held_out = rows - report.splits.get(TRAIN, 0)
    if rows < 2 or 0 < held_out < rows:
        return
    counted = "all have the same value" if report.groups == 1 else f"they have {report.groups:,} values"
    raise InputError(
        f"{SETTING}: {shown(split_by)} leaves all {rows:,} rows {'held out' if held_out else 'in train'}: "
        f"{counted}, and rows of one value stay together; name what has more values, or change "
        "data.eval_percent"
    )
