"""Builds a user's own model (`model.build`), and holds it to the laws of our models before it is trained."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from maskline.trainer.mask_lint import mask_findings
from maskline.trainer.settings import ModelSettings
from maskline.transform import own_code
from maskline.transform.errors import InputError
from maskline.transform.features import ROW, SequenceSpec

_ROWS = 16  # of a made-up batch
_CLOSE = 1e-4  # of logits in another batch, relative to one plus their size


@dataclass(frozen=True)
class InputSpec:
    """What a model reads.

    Attributes:
      length: ids in a row, padding included; with `model.any_length`, at most.
      vocabulary_size: number of ids, 0…vocabulary_size-1.
      padding_id: the id behind the end of each row.
      vocabulary: the symbols, by id.
    """

    length: int
    vocabulary_size: int
    padding_id: int
    vocabulary: tuple[str, ...]


@dataclass(frozen=True)
class OutputSpec:
    """What a model answers.

    Attributes:
      kind: `task.kind`: `first`, `class`, `whole` or `each`.
      outputs: the width of the last layer: how many answers there are.
      positions: answers of a row: 1; with `whole`, those of the longest label and its end; with `each`, those
        of the row.
    """

    kind: str
    outputs: int
    positions: int

    def shape(self, rows: int, length: int) -> tuple[int, ...]:
        """The shape of the logits of a batch of rows of some length."""
        if self.kind == "whole":
            return rows, self.positions, self.outputs
        return (rows, length, self.outputs) if self.kind == "each" else (rows, self.outputs)


def input_spec(spec: SequenceSpec) -> InputSpec:
    """What a builder learns of the rows."""
    return InputSpec(spec.length, spec.size, spec.pad_id, spec.vocabulary)


def output_spec(spec: SequenceSpec) -> OutputSpec:
    """What a builder learns of the task."""
    return OutputSpec(spec.task.kind, len(spec.answers), spec.positions)


def build_own(spec: SequenceSpec, settings: ModelSettings) -> keras.Model:
    """Calls the builder that `settings.build` names.

    Args:
      spec: length, vocabulary and task.
      settings: given to the builder too.

    Returns:
      a functional model from [batch, length] int32 ids to logits.

    Raises:
      InputError: the builder cannot be imported, raises, or returns no Keras model of one input and one
        output.
    """
    where = f"model.build: {settings.build}"
    build = own_code.function(settings.build, "model.build")
    try:
        made = build(input_spec(spec), output_spec(spec), settings)
    except InputError:
        raise
    except Exception as error:  # whatever the user's code does
        raise InputError(f"{where} raised {own_code.in_words(error)}") from None
    if not isinstance(made, keras.Model):
        raise InputError(f"{where} returned {_kind_of(made)}; a builder returns a Keras model")
    if isinstance(made, keras.Sequential) and not made.built:
        made.build((None, None if settings.any_length else spec.length))
    if (inputs := getattr(made, "inputs", None)) and not isinstance(made, keras.Sequential):
        outputs = keras.tree.flatten(made.output)
        if len(inputs) != 1 or len(outputs) != 1:
            raise InputError(
                f"{where}: the model has {len(inputs)} inputs and {len(outputs)} outputs; it needs one of "
                "each: padded ids, and logits"
            )
        return made
    ids = keras.Input((None if settings.any_length else spec.length,), dtype="int32", name=ROW)
    try:
        return keras.Model(ids, made(ids), name=made.name)
    except Exception as error:
        raise InputError(
            f"{where}: the model cannot be called on padded ids: {own_code.in_words(error)}"
        ) from None


def check_laws(
    model: keras.Model, ids: NDArray[np.integer], spec: SequenceSpec, settings: ModelSettings
) -> None:
    """Refuses a user's model that breaks a law: shape, logits, weights, independence of batch and padding.

    Args:
      model: from `build_own`.
      ids: the first batch, [rows, length]. Laws about padding are asked of it only where it holds some.
      spec: length, vocabulary and task.
      settings: `any_length` asks that it take shorter rows too.

    Raises:
      InputError: names the law and the layer.
    """
    laws = _Laws(model, np.asarray(ids, np.int32), spec, settings)
    laws.shape()
    laws.logits()
    laws.weights()
    laws.batch()
    laws.padding()


def made_up_rows(spec: SequenceSpec) -> NDArray[np.int32]:
    """Rows of all lengths, [16, length], the shortest of one id; the same for the same spec."""
    random = np.random.default_rng(0)
    real = [i for i in range(spec.size) if i != spec.pad_id]
    lengths = np.linspace(1, spec.length, _ROWS).astype(int)
    return np.where(
        np.arange(spec.length) < lengths[:, None], random.choice(real, (_ROWS, spec.length)), spec.pad_id
    ).astype(np.int32)


def rehearse(spec: SequenceSpec, settings: ModelSettings) -> None:
    """Builds the model and holds it to the laws on made-up rows, before there are any others.

    Raises:
      InputError: see `build_own` and `check_laws`.
    """
    check_laws(build_own(spec, settings), made_up_rows(spec), spec, settings)


class _Laws:
    def __init__(
        self, model: keras.Model, ids: NDArray[np.int32], spec: SequenceSpec, settings: ModelSettings
    ) -> None:
        self.model, self.ids, self.spec, self.settings = model, ids, spec, settings
        self.answers = self.ask(ids)

    def ask(self, ids: NDArray[np.int32]) -> NDArray[np.float64]:
        try:
            return keras.ops.convert_to_numpy(self.model(ids, training=False)).astype(np.float64)
        except Exception as error:  # whatever the layers do with such rows
            raise self.broken(
                f"takes int32 ids [rows, {ids.shape[1]}]", f"it raised {own_code.in_words(error)}"
            ) from None

    def shape(self) -> None:
        task, length = output_spec(self.spec), self.spec.length
        names = {"whole": ("rows", "positions", "outputs"), "each": ("rows", "length", "outputs")}
        given = [(self.ids, self.answers)]
        if self.settings.any_length and length > 1:
            given.append((self.ids[:, :-1], self.ask(self.ids[:, :-1])))
        for ids, answers in given:
            if answers.shape != (wanted := task.shape(*ids.shape)):
                axes = ", ".join(names.get(task.kind, ("rows", "outputs")))
                raise self.broken(
                    f"gives logits of the shape [{axes}] with task.kind={task.kind}",
                    f"{list(answers.shape)} instead of {list(wanted)}, from {self.last}",
                )

    def logits(self) -> None:
        if not np.isfinite(self.answers).all():
            raise self.broken("gives finite numbers", f"some are not, from {self.last}")
        if self.answers.min() >= 0 and np.allclose(self.answers.sum(-1), 1, atol=1e-4):
            raise self.broken(
                "gives logits", f"{self.last} gives probabilities; leave out its softmax, which comes later"
            )

    def weights(self) -> None:
        if not self.model.trainable_variables:
            raise self.broken("has weights to train", f"no layer of '{self.model.name}' has any")

    def batch(self) -> None:
        few = self.ids[: max(1, len(self.ids) // 2)]
        alone = np.concatenate([self.ask(row[None]) for row in few[:4]])
        beside = self.answers[: len(alone)]
        at = self.real(self.ids[: len(alone)])
        apart = np.abs(alone - beside)[at] / (1 + np.abs(beside[at]))
        if (worst := float(np.max(apart, initial=0))) > _CLOSE:
            raise self.broken(
                "gives a row the same answer in every batch",
                f"alone and beside others, logits from {self.last} differ by {worst:.2g}",
            )

    def padding(self) -> None:
        hidden = self.ids == self.spec.pad_id
        if hidden.all() or not hidden.any():
            return
        try:
            found = mask_findings(self.model, self.ids, self.spec.pad_id)
        except ValueError as error:
            raise self.broken("can be asked about padding", str(error)) from None
        if found:
            raise self.broken("lets no padding reach an answer", str(found[0]))

    def real(self, ids: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which answers count: with `each`, those at real positions; else all."""
        if output_spec(self.spec).kind == "each":
            return ids != self.spec.pad_id
        return np.ones(len(ids), bool)

    @property
    def last(self) -> str:
        """The layer that the logits come from."""
        layer = self.model.layers[-1] if self.model.layers else self.model
        return f"layer '{layer.name}' ({type(layer).__name__})"

    def broken(self, law: str, how: str) -> InputError:
        return InputError(f"model.build: {self.settings.build} breaks the law that a model {law}: {how}")


def _kind_of(made: Any) -> str:
    return "nothing" if made is None else f"a {type(made).__name__}"
