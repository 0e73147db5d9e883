"""What the tests of the masks of labels share: figures of a loss, laws that a mutant breaks, trainings."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import pytest
import tensorflow as tf

from maskline.trainer.dataset import Rows, in_order
from maskline.trainer.fit import loss_of
from maskline.trainer.stepping import CountedAccuracy, SteppingModel


def figures_of(loss_function: Any, labels: Any, logits: Any, weights: Any, *, of_metric: Any) -> Any:
    """Loss, accuracy, and the gradient of the loss by the logits; `of_metric` are the metric's weights."""
    given = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(given)
        loss = loss_function(labels, given, sample_weight=weights)
    accuracy = CountedAccuracy()
    accuracy.update_state(labels, given, sample_weight=of_metric)
    return float(loss), float(accuracy.result()), tape.gradient(loss, given).numpy()


def broken(laws: Iterable[Callable[[Any], None]], subject: Any) -> list[str]:
    """The laws that do not hold for something."""
    names = []
    for law in laws:
        try:
            law(subject)
        except AssertionError:
            names.append(law.__name__)
    return names


def compiled(inputs: Any, outputs: Any) -> SteppingModel:
    """A model that is trained in steps of length 0, which measure only."""
    model = SteppingModel(inputs, outputs)
    model.compile(
        keras.optimizers.SGD(0.0), loss_of(), weighted_metrics=[CountedAccuracy(name="accuracy")],
        jit_compile=False,
    )  # fmt: skip
    model.optimizer.build(model.trainable_variables)
    return model


def assert_measured(
    model: SteppingModel, rows: Rows, made: Any, sizes: Sequence[int], measured: Any, **of_labels: int
) -> None:
    """What batches of any size and stacks of batches measure is what the Evaluator does."""
    expected = {"loss": measured["loss"], "accuracy": measured["token_accuracy"], "rows": len(rows.y)}
    for size in sizes:
        found = model.evaluate(in_order(rows, batch_size=size, **of_labels), verbose=0, return_dict=True)
        assert found == pytest.approx(expected, abs=1e-5), size
    history = model.fit(made, shuffle=False, verbose=0).history
    assert {name: values[0] for name, values in history.items()} == pytest.approx(expected, abs=1e-5)
