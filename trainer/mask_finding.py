"""A finding of the mask lint: the layer, what happens there, and what to do about it."""

from typing import Literal, NamedTuple

Kind = Literal["dropped", "leaks", "unmasked"]

_TEXTS: dict[Kind, str] = {
    "dropped": "drops the mask and passes on the values of padding: zero them first, or use a layer that "
    "supports masks",
    "leaks": "keeps the mask, yet padding reaches real positions: mask the keys, or zero padding before "
    "positions are mixed",
    "unmasked": "makes no mask, and its outputs change with the padding: make one, for example with "
    "Embedding(mask_zero=True), and use layers that support it",
}


class MaskFinding(NamedTuple):
    """A layer that lets padding through. `str` gives one line that says what happens and what to do.

    `layer` is its name, with the names of the enclosing models before it, as in "encoder/reshape". `kind` is
    "dropped" if its output has no mask and depends on padding, "leaks" if its output has a mask and real
    positions depend on padding, and "unmasked" if the whole model makes no mask and its outputs change.
    `layer_type` is the name of the class of the layer, operation or model.
    """

    layer: str
    kind: Kind
    layer_type: str

    def __str__(self) -> str:
        what = "model" if self.kind == "unmasked" else "layer"
        return f"{what} '{self.layer}' ({self.layer_type}) {_TEXTS[self.kind]}"
