"""Asks a released model about single texts. No TensorFlow, except for its C library."""

from collections.abc import Sequence
from pathlib import Path

from maskline.pipeline.local.streams import quiet_tensorflow
from maskline.pipeline.predict.library import Refused
from maskline.pipeline.predict.served import TEXT, Signature, choose_version, language_of, naming_damage
from maskline.transform.errors import InputError
from maskline.transform.features import tokenize
from maskline.transform.shown import shown


def answer_texts(serving: Path, texts: Sequence[str], number: int | None = None) -> list[tuple[str, float]]:
    """Predicts the label's first symbol for each text.

    Args:
      serving: the directory of released versions.
      texts: such as `x=-12,y=24:y+x`.
      number: of the version to ask; None for the live one.

    Returns:
      symbol and probability for each; the symbol is empty where the model is not sure enough.

    Raises:
      InputError: no model was released yet, the version is damaged or gone, or a text is not of the
        model's language.
    """
    version = choose_version(serving, number)
    with naming_damage(serving, version):
        spec = language_of(version)
    for text in texts:
        tokenize(text, spec)
    with quiet_tensorflow():
        with naming_damage(serving, version):
            signature = Signature(version.path, TEXT, abstain_below=spec.task.abstain_below)
        try:
            answers = signature.ask([text.encode() for text in texts])
        except Refused as error:
            raise InputError(f"{shown(texts[0])}: the model refuses it: {error}") from None
    return list(zip(answers.symbols, map(float, answers.probabilities), strict=True))
