"""Everything that a training depends on, besides its rows; the model is named by it. No TensorFlow."""

import hashlib
import json

from pydantic import BaseModel, ConfigDict

from maskline.trainer.settings import TrainerSettings
from maskline.transform.features import SequenceSpec


class TrainingRecipe(BaseModel):
    """Everything that decides which model a training gives, besides the rows and the initial weights.

    `sequence` describes the features and symbols, `settings` the model and its training, and `fingerprint`
    is the digest of the source and of the installed packages. Where outputs go is not part of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sequence: SequenceSpec
    settings: TrainerSettings
    fingerprint: str

    def identity(self, *, train: str, held_out: str, base: str = "") -> str:
        """Returns the model's identity: the SHA-256 of the recipe, the rows and the base model.

        Training is repeatable, so the same rows, settings, seed, source and packages give the same model. A
        second training on them, for example after a crash, has the same identity.

        Args:
          train: digest of the training rows.
          held_out: digest of the rows that choose the epoch.
          base: identity of the model whose weights the training starts from; empty for none.

        Returns:
          64 hexadecimal digits.
        """
        parts = {**self.model_dump(mode="json"), "train": train, "held_out": held_out, "base": base}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
