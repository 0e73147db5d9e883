"""Which released model is asked, and its signatures. No TensorFlow except for its C library."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.proto import meta_graph_pb2

from maskline.components.pusher.contents import Contents, Version, look
from maskline.pipeline.predict.library import LibraryError, Refused, Session
from maskline.pipeline.registry import live
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec
from maskline.transform.names import IDENTITY_FILE

EXAMPLES, TEXT = "serving_default", "serving_text"


class Answers(NamedTuple):
    """What a model answers: [batch] symbols, [batch] probabilities, [batch, …] logits if asked."""

    symbols: list[str]
    probabilities: NDArray[np.float32]
    logits: NDArray[np.float32] | None


def choose_version(folder: Path, number: int | None = None) -> Version:
    """The version to ask.

    Args:
      folder: the serving directory.
      number: of the version; None for the live one.

    Raises:
      InputError: there is no such version, none was released yet, or it is damaged.
    """
    contents = look(folder)
    if number is not None:
        return _numbered(folder, contents, number)
    if problem := live.problem(folder, contents):
        raise InputError(f"{problem}; {live.way_on(contents)}")
    if contents.live is None:
        raise InputError(f"{folder}: no model was released yet; `maskline run` makes one")
    return contents.live


def _numbered(folder: Path, contents: Contents, number: int) -> Version:
    for version in contents.versions:
        if version.number == number:
            return version
    for damaged in contents.damaged:
        if damaged.number == number:
            raise InputError(
                f"{damaged.path}: version {number} is damaged: {damaged.why}; choose another one"
            )
    there = ", ".join(str(version.number) for version in contents.versions)
    raise InputError(
        f"{folder}: there is no version {number}; there "
        + (f"are {there}" if len(contents.versions) > 1 else f"is {there}" if there else "is no version yet")
    )


@contextmanager
def naming_damage(folder: Path, version: Version) -> Iterator[None]:
    """Where asking fails since a disk lost a byte, names the file: only reading all files finds that.

    Raises:
      InputError: the version is not as it was released; otherwise what was raised within.
    """
    try:
        yield
    except Exception:
        contents = look(folder, thorough=True)
        for damaged in contents.damaged:
            if damaged.path == version.path:
                raise InputError(
                    f"{damaged.path}: version {damaged.number} is damaged: {damaged.why}; "
                    f"{live.way_on(contents)}"
                ) from None
        raise


def language_of(version: Version) -> SequenceSpec:
    """The model's own language, which need not be that of today's configuration."""
    return SequenceSpec.of_export(json.loads((version.path / IDENTITY_FILE).read_text())["sequence"])


class Signature:
    """One signature of a model that is loaded.

    Args:
      folder: of the SavedModel.
      name: `EXAMPLES` or `TEXT`.
      logits: whether they are asked for as well.
      abstain_below: an answer that is less probable is not given: its symbol is empty.

    Raises:
      InputError: the model has no such signature, or cannot be loaded.
    """

    def __init__(self, folder: Path, name: str, *, logits: bool = False, abstain_below: float = 0.0) -> None:
        self._abstain_below = np.float32(abstain_below)
        try:
            self._session = Session(str(folder))
        except (LibraryError, Refused) as error:
            raise InputError(f"{folder}: TensorFlow cannot load this model: {_in_a_line(error)}") from None
        # TensorBoard has this class of TensorFlow's without importing it.
        declared = meta_graph_pb2.MetaGraphDef.FromString(self._session.meta_graph).signature_def
        if name not in declared:
            has = ", ".join(sorted(key for key in declared if not key.startswith("__"))) or "none"
            raise InputError(f"{folder}: the model has no signature {name}; it has {has}")
        found = declared[name]
        kinds = {"symbol": bytes, "probability": float} | ({"logits": float} if logits else {})
        if missing := [key for key in kinds if key not in found.outputs]:
            raise InputError(f"{folder}: signature {name} does not answer '{missing[0]}'; export it again")
        [self._feed] = [tensor.name for tensor in found.inputs.values()]
        self._fetch = {found.outputs[key].name: kind for key, kind in kinds.items()}

    def ask(self, values: list[bytes]) -> Answers:
        """Asks about a batch.

        Args:
          values: texts in UTF-8, or serialized tf.Examples; at least one.

        Raises:
          Refused: the model refuses one of them, and answers none.
        """
        try:
            symbols, probabilities, *logits = self._session.run(self._feed, values, self._fetch)
        except Refused as error:
            raise Refused(_in_a_line(error)) from None
        flat = logits[0].reshape(len(symbols), -1) if logits else None
        texts = [
            symbol.decode() if probability >= self._abstain_below else ""
            for symbol, probability in zip(symbols, probabilities, strict=True)
        ]
        return Answers(texts, probabilities, flat)


def _in_a_line(error: Exception) -> str:
    """What TensorFlow says, without the stack of nodes and functions around it."""
    return " ".join(str(error).split("\n\t")[0].split()) or type(error).__name__
