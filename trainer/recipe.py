"""What a training is made of. It names the model; where its outputs go is no part of it. No TensorFlow."""

import hashlib
import json

from pydantic import BaseModel, ConfigDict

from maskline.trainer.settings import TrainerSettings
from maskline.transform.features import SequenceSpec


class TrainingRecipe(BaseModel):
    """All that decides what a model becomes, besides the rows and the weights it begins with.

    `sequence` is the language of the data, `settings` those of model and training,
    `fingerprint` the digest of the source and of the packages behind it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sequence: SequenceSpec
    settings: TrainerSettings
    fingerprint: str

    def identity(self, *, train: str, held_out: str, base: str = "") -> str:
        """The model's name: SHA-256 of the recipe, the rows and the base model.

        Training is repeatable, so the same rows, settings, seed, source and packages give the same model.
        A second training on them, after a crash say, is therefore known to give the same model.

        Args:
          train: digest of the rows to learn from.
          held_out: digest of the rows that choose the epoch.
          base: identity of the model whose weights the training begins with; empty for none.

        Returns:
          64 hexadecimal digits.
        """
        parts = {**self.model_dump(mode="json"), "train": train, "held_out": held_out, "base": base}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
