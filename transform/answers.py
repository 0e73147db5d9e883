"""What a training notes of its rows, and of the model's answers to them: the form of `answers.json`."""

from pydantic import BaseModel, ConfigDict

from maskline.transform.names import EVAL
from maskline.transform.versioned import Versioned


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WrongRow(_Form):
    """A held-out row, mostly one that is answered wrong: its symbols as text, the answer, its probability."""

    text: str
    label: str
    answer: str
    probability: float


class Confusion(_Form):
    """How many held-out rows with a label get another answer."""

    label: str
    answer: str
    rows: int


class AnswerSummary(Versioned, _Form):
    """Rows by split, and what the model answers wrong.

    `labels` and `lengths` count rows by split, then by label and by the number of symbols in the joined row.
    `rows` rows of `split` were asked, `wrong` of them are answered wrong; `confusions` has the most frequent
    confusions, `wrong_rows` the rows whose wrong answer is the most confident, first, and `right_rows` some
    that are answered right. Of whole labels the most frequent are counted.
    """

    labels: dict[str, dict[str, int]]
    lengths: dict[str, dict[int, int]]
    split: str = EVAL
    rows: int
    wrong: int
    confusions: tuple[Confusion, ...]
    wrong_rows: tuple[WrongRow, ...]
    right_rows: tuple[WrongRow, ...] = ()
