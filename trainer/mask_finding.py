"""What the mask lint finds: a place, what happens there, and what to do about it."""

from typing import Literal, NamedTuple

Kind = Literal["dropped", "leaks", "unmasked"]

_TEXTS: dict[Kind, str] = {
    "dropped": "drops the mask, and what stands in padding goes on: zero it first, or use a layer that heeds "
    "masks",
    "leaks": "keeps the mask, yet padding reaches real positions: mask the keys, or zero padding before they "
    "mix",
    "unmasked": "makes no mask, and its answers change with the padding: make one, as by "
    "Embedding(mask_zero=True), and use layers that heed it",
}


class MaskFinding(NamedTuple):
    """One place that lets padding through; as text, one line that says what happens and what to do.

    `layer` is its name after those of the models around it, as in "encoder/reshape". `kind` is "dropped"
    where the output has no mask and depends on padding, "leaks" where it has one and real positions of it do,
    and "unmasked" where the whole model makes no mask and its answers change. `layer_type` is the class of
    the layer, operation or model.
    """

    layer: str
    kind: Kind
    layer_type: str

    def __str__(self) -> str:
        what = "model" if self.kind == "unmasked" else "layer"
        return f"{what} '{self.layer}' ({self.layer_type}) {_TEXTS[self.kind]}"
