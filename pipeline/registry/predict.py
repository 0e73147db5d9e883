"""Asks the live model through the signature that a server would use."""

import json
from collections.abc import Sequence
from pathlib import Path

from maskline.components.pusher.contents import look
from maskline.pipeline.local.streams import quiet_tensorflow
from maskline.pipeline.registry import live
from maskline.pipeline.settings.sections import Settings
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec, tokenize
from maskline.transform.names import IDENTITY_FILE


def answer(config: Settings, texts: Sequence[str]) -> list[tuple[str, float]]:
    """Predicts the label's first symbol for each text.

    Args:
      config: says where the released versions lie.
      texts: such as `x=-12,y=24:y+x`.

    Returns:
      symbol and probability for each.

    Raises:
      InputError: no model was released yet, the live one is damaged or gone, or a text is not of the
        model's language.
    """
    contents = look(config.serving_dir)
    if problem := live.problem(config.serving_dir, contents):
        raise InputError(f"{problem}; {live.way_on(contents)}")
    if contents.live is None:
        raise InputError(f"{config.serving_dir}: no model was released yet; `maskline run` makes one")
    folder = contents.live.path
    # The model's own language, which need not be that of today's configuration.
    spec = SequenceSpec.of_export(json.loads((folder / IDENTITY_FILE).read_text())["sequence"])
    for text in texts:
        tokenize(text, spec)
    with quiet_tensorflow():
        return _ask(folder, texts)


def _ask(folder: Path, texts: Sequence[str]) -> list[tuple[str, float]]:
    import tensorflow as tf

    served = tf.saved_model.load(str(folder)).signatures["serving_text"]
    answers = served(tf.constant(list(texts)))
    symbols = [symbol.decode() for symbol in answers["symbol"].numpy()]
    return list(zip(symbols, map(float, answers["probability"].numpy()), strict=True))
