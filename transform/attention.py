"""What a training notes of its attention, for the report: the form of `attention.json`. No tensors."""

from pydantic import BaseModel, ConfigDict

from maskline.transform.versioned import Versioned


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AttendedRow(_Form):
    """How the positions of one held-out row attend to each other, under two masks and the same weights.

    `symbols` [s] are those of the positions that are kept, `padding` [s] says which of them are padding;
    positions of a long row that are left out are counted by `left_out`. `weights` [q, k] are the model's own,
    `reference` [q, k] those with the published mask, on queries: each a query's share of attention on a
    key, from 0 to 1. `on_padding` and `reference_on_padding` are the mean share of attention that real
    positions give to padding, over the whole row.
    """

    symbols: tuple[str, ...]
    padding: tuple[bool, ...]
    left_out: int
    weights: tuple[tuple[float, ...], ...]
    reference: tuple[tuple[float, ...], ...]
    on_padding: float
    reference_on_padding: float


class AttentionSummary(Versioned, _Form):
    """A few held-out rows, the shortest first. `mask` is the model's own: keys, queries or none."""

    mask: str
    rows: tuple[AttendedRow, ...]
