"""What can be wrong with a row: the kinds of problems, and one problem in words. No tensors, no files."""

from enum import StrEnum
from typing import NamedTuple


class Reason(StrEnum):
    """Why a row cannot be used."""

    MISSING = "missing"
    NOT_INT64 = "not int64"
    OUTSIDE_VOCABULARY = "outside vocabulary"
    NOT_A_CLASS = "not a class"
    LABEL_LENGTH = "wrong number of labels"
    TOO_LONG = "too long"
    HOLDS_SEPARATOR = "holds the separator"
    NOT_FLOAT = "not float"
    NUMBERS = "wrong number of numbers"
    NOT_A_NUMBER = "not a finite number"
    NOT_AN_EXAMPLE = "not a tf.Example"
    SEQUENCE_EXAMPLE = "a tf.SequenceExample"
    AMBIGUOUS = "ambiguous encoding"
    NO_GROUP = "no key for data.split_by"
    # Of rows that a model is asked about:
    NOT_TEXT = "not UTF-8 text"
    NOT_JSON = "not a JSON object"
    SEGMENTS = "wrong number of segments"
    REFUSED = "refused by the model"
    UNSURE = "not sure enough"


class RowProblem(NamedTuple):
    """What is wrong with a row: the kind, and a phrase with the feature, the value and what is allowed."""

    reason: Reason
    text: str
