"""Reads the Keras model of a release. Needs Keras, and neither TFX nor Transform."""

from pathlib import Path

import keras

from maskline.trainer import layers  # noqa: F401, registers them with Keras
from maskline.transform.names import KERAS_FILE


def load_model(path: str | Path) -> keras.Model:
    """Reads the Keras model of a release, for evaluation, fine-tuning or the mask lint.

    Args:
      path: a released version, such as `maskline-root/serving/maskline/1`, or a `.keras` file.

    Returns:
      the model, not compiled: [batch, length] integer ids to [batch, vocabulary] float32 logits.

    Raises:
      FileNotFoundError: there is no such file; the text says what to give.

    Examples:
      >>> import maskline
      >>> maskline.load_model("maskline-root/serving/maskline/1").summary()  # doctest: +SKIP
    """
    file = Path(path) if Path(path).suffix == ".keras" else Path(path) / KERAS_FILE
    if not file.is_file():
        raise FileNotFoundError(
            f"{file}: no such file; give the folder of a released version, such as "
            "maskline-root/serving/maskline/1, or a .keras file"
        )
    return keras.saving.load_model(file, compile=False)
