"""Fits a model with Keras. It uses neither TFX nor files of examples."""

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from maskline.trainer import size
from maskline.trainer.building import build_own, check_laws
from maskline.trainer.class_weights import class_weights
from maskline.trainer.dataset import Rows, batches_of, in_order, longest_of, power_of_two, stacks
from maskline.trainer.mask_lint import mask_findings
from maskline.trainer.model import build_model
from maskline.trainer.progress import Progress
from maskline.trainer.schedule import learning_rate
from maskline.trainer.settings import TrainerSettings, takes_any_length
from maskline.trainer.stepping import CountedAccuracy, SteppingModel
from maskline.trainer.warm_start import Predecessor, take_weights
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec

logger = logging.getLogger(__name__)
_FEW = 4096  # held-out rows


def fit(
    train: Rows,
    held_out: Rows,
    spec: SequenceSpec,
    settings: TrainerSettings,
    *,
    log_dir: Path,
    checkpoints: Path,
    start_from: Predecessor | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    after_first_epoch: Callable[[keras.Model], None] | None = None,
    trial: bool = False,
) -> tuple[keras.Model, list[dict[str, float]]]:
    """Builds the model and fits it; continues a killed training. The same seed gives the same weights.

    Columns that are padding in every row are left out, as they change nothing, unless the model takes rows of
    one length alone.

    Args:
      train: rows to train on.
      held_out: rows to measure on after each epoch.
      spec: length and vocabulary.
      settings: of the model and of its training.
      log_dir: the folder for TensorBoard's logs.
      checkpoints: the folder for this training's checkpoints. The same rows, settings and source must get
        the same folder, and other trainings another one.
      start_from: an earlier model with the weights to start from.
      callbacks: more of them, which see each epoch after its line in the log.
      after_first_epoch: called with the model after the first epoch of this process, when TensorFlow has laid
        all graphs that it needs to train.
      trial: only the history is wanted. Then TensorBoard gets no logs, few checkpoints are written, the
        mask lint is left to the models that are kept, and the weights are those of the last epoch.

    Returns:
      the model and, for each epoch, what `Progress.history` holds; `rows` is the
      number of rows that the epoch trained on, which is all of them.

    Raises:
      InputError: a split has no rows, the loss is not finite, padding changes an output, the user's own
        model breaks another law, or the weights to start from do not fit the model.
    """
    training = settings.training
    if not len(held_out.y):
        raise InputError("split 'eval' holds no rows: give more data or change data.eval_percent")
    if not len(train.y):
        raise InputError("split 'train' holds no rows: give more data or change data.eval_percent")
    lengths = _lengths((train, held_out), spec, settings)
    batch_size = min(training.batch_size, len(train.y))
    steps = int(batches_of(train, batch_size=batch_size, lengths=lengths, pad_id=spec.pad_id).sum())
    xla = _with_xla(settings, steps * training.epochs)
    model = _built(spec, settings, xla)
    if start_from:
        take_weights(model, start_from, spec)
    if not trial or settings.model.build:
        _check_masks(model, train, spec, settings)
    stepping = _compiled(model, spec, settings, steps, xla)
    with Progress(checkpoints, training, trial=trial) as progress:
        first_epoch = progress.restore(stepping)
        weights = class_weights(train.y, spec, training.class_weights)
        measured_on = in_order(
            held_out,
            batch_size=256 if len(held_out.y) <= _FEW else 1024,  # few shapes: few programs
            length=lengths[-1],
            fill=True,
            class_weights=weights,
            pad_id=spec.pad_id,
            no_label=spec.no_label,
        )
        at_first = stepping.evaluate(measured_on, verbose=0, return_dict=True)
        logger.info("before epoch %d: held-out loss %.4f", first_epoch + 1, at_first["loss"])
        logs = [] if trial else [_TensorBoard(model, str(log_dir), histogram_freq=int(training.histograms))]
        # One epoch more than there are: Keras would begin a dataset again that is at its end.
        numbers = range(first_epoch, training.epochs + 1)
        trained_on = stacks(
            train,
            steps=min(training.steps_per_call, power_of_two(steps)),
            batch_size=batch_size,
            lengths=lengths,
            seed=training.seed,
            epochs=numbers,
            pad_id=spec.pad_id,
            class_weights=weights,
            no_label=spec.no_label,
        )
        stepping.fit(
            trained_on,
            steps_per_epoch=int(trained_on.cardinality()) // len(numbers),
            epochs=training.epochs,
            initial_epoch=first_epoch,
            validation_data=measured_on,
            callbacks=[*logs, progress, *_once(model, after_first_epoch), *callbacks],
            shuffle=False,  # the dataset shuffles
            verbose=0,
        )
        kept = progress.finish(stepping)
        logger.info("weights of epoch %d are kept", kept)
    return model, progress.history


class _TensorBoard(keras.callbacks.TensorBoard):
    """Draws the layers of the functional model. Keras draws none for a model of another class."""

    def __init__(self, drawn: keras.Model, log_dir: str, **arguments: Any) -> None:
        super().__init__(log_dir, **arguments)
        self.drawn = drawn

    def set_model(self, model: keras.Model) -> None:
        super().set_model(self.drawn)
        keras.callbacks.Callback.set_model(self, model)


def _once(
    model: keras.Model, call: Callable[[keras.Model], None] | None
) -> Iterator[keras.callbacks.Callback]:
    """What calls it at the end of one epoch."""
    waiting = [call] if call else []
    if call:
        yield keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: waiting and waiting.pop()(model))


def _built(spec: SequenceSpec, settings: TrainerSettings, xla: bool) -> keras.Model:
    keras.utils.set_random_seed(settings.training.seed)
    if settings.training.threads != 1 and not xla:
        # Parallel reductions may differ in the last bit from run to run; one thread does none. Where this is
        # on, Keras would not compile with XLA, and would only warn.
        tf.config.experimental.enable_op_determinism()
    if not settings.model.build:
        return build_model(spec, settings.model)
    # Layers that the user does not name get the same names, by which checkpoints know them, in every process.
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(settings.training.seed)
    return build_own(spec, settings.model)


def _compiled(
    model: keras.Model, spec: SequenceSpec, settings: TrainerSettings, steps: int, xla: bool
) -> SteppingModel:
    """Puts the layers into a model that trains on stacks of batches, and compiles it."""
    stepping = SteppingModel(
        model.input, model.output, name=model.name, parts=partial(size.parts_of_batch, spec, settings)
    )
    stepping.compile(
        optimizer=keras.optimizers.Adam(learning_rate(settings.training, steps * settings.training.epochs)),
        loss=loss_of(),
        weighted_metrics=[CountedAccuracy(name="accuracy")],
        jit_compile=xla,
    )
    stepping.optimizer.build(stepping.trainable_variables)
    return stepping


def loss_of() -> keras.losses.Loss:
    """Cross-entropy, as a mean by weight: over rows, or over the positions of labels that count."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight")


def _with_xla(settings: TrainerSettings, steps: int) -> bool:
    """Decides whether XLA pays: compiling costs about 1,000 small steps, and its random numbers are slow."""
    if settings.training.xla == "auto":
        return steps >= 1000 and not settings.model.dropout and not settings.model.build
    return settings.training.xla == "on"


def _lengths(splits: Sequence[Rows], spec: SequenceSpec, settings: TrainerSettings) -> tuple[int, ...]:
    """Returns the lengths of the buckets in ascending order; every row of the splits fits into the last."""
    longest = spec.length
    if takes_any_length(settings.model, spec):
        longest = max(longest_of(rows, spec.pad_id) for rows in splits)
    shorter = {length for length in settings.training.length_buckets if length < longest}
    return (*sorted(shorter), longest)


def _check_masks(model: keras.Model, train: Rows, spec: SequenceSpec, settings: TrainerSettings) -> None:
    """Refuses a model in which padding changes the output, unless its settings ask for that."""
    sample = train.x[:64].astype("int32")
    if settings.model.build:
        check_laws(model, sample, spec, settings.model)
        return
    padding = sample == spec.pad_id
    if padding.all() or not padding.any():
        return  # nothing to learn from these rows
    for finding in mask_findings(model, train.inputs(slice(64))):
        if not settings.model.padding_leaks:
            raise InputError(f"model: {finding}")
        logger.warning("%s", finding)
