"""Trainer's entry point. Thin on purpose: TFX may reload this module."""

import json
import shutil
import tempfile
from contextlib import nullcontext
from pathlib import Path

import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs

from maskline.trainer.answers import note_answers
from maskline.trainer.attention import note_attention
from maskline.trainer.compiled import compiled_code
from maskline.trainer.dataset import read_rows
from maskline.trainer.export import EarlyExport, export, model_identity_of
from maskline.trainer.golden import write_golden_rows
from maskline.trainer.recipe import TrainingRecipe
from maskline.trainer.seeds import fit_seeds
from maskline.trainer.warm_start import Predecessor
from maskline.transform.computed import resolved
from maskline.transform.names import (
    ANSWERS_FILE,
    ATTENTION_FILE,
    CHECKPOINTS,
    COMPILED,
    EVAL,
    EXTRA_FOLDER,
    GOLDEN_ROWS_FILE,
    HISTORY_FILE,
    PLACES,
    RECIPE,
    TEST,
    TRAIN,
)
from maskline.transform.versioned import FORMAT


def run_fn(fn_args: FnArgs) -> None:
    """Reads the transformed examples, fits the model, and exports it.

    Args:
      fn_args: `custom_config` holds `recipe` (a `TrainingRecipe` as JSON, which alone names the model),
        `checkpoints` and `compiled` (folders for all trainings) and `places` (see
        `maskline.components.trainer`).

    It writes the model to `serving_model_dir`, TensorBoard's logs to `model_run_dir`, and the history and
    the golden rows to the places given.
    """
    recipe = TrainingRecipe.model_validate_json(fn_args.custom_config[RECIPE])
    # Not every operation that a user's own layers may have can be kept when it is compiled.
    reused = not recipe.settings.model.build
    compiled = Path(fn_args.custom_config[COMPILED])
    with compiled_code(compiled, threads=recipe.settings.training.threads) if reused else nullcontext():
        _train(fn_args, recipe)


def _train(fn_args: FnArgs, recipe: TrainingRecipe) -> None:
    places, checkpoints = fn_args.custom_config[PLACES], fn_args.custom_config[CHECKPOINTS]
    transform = tft.TFTransformOutput(fn_args.transform_output)
    spec, settings = resolved(recipe.sequence, transform), recipe.settings
    # For operations this small, handing work to other threads costs more than it gains.
    tf.config.threading.set_intra_op_parallelism_threads(settings.training.threads)
    base = fn_args.base_model
    early = EarlyExport(transform, spec, fn_args.serving_model_dir)
    with tempfile.TemporaryDirectory(prefix="maskline-rows-") as folder, early:
        train, held_out, test = (
            read_rows(files, spec, Path(folder))
            for files in (fn_args.train_files, fn_args.eval_files, places["test"])
        )
        splits = {TRAIN: train, EVAL: held_out} | ({TEST: test} if len(test.y) else {})
        identity = recipe.identity(
            train=train.digest(),
            held_out=held_out.digest(),
            base=model_identity_of(base) if base else "",
        )
        checkpoint = Path(checkpoints, identity[:16])
        model, history, learned = fit_seeds(
            train, held_out, spec, settings,
            log_dir=Path(fn_args.model_run_dir),
            checkpoints=checkpoint,
            start_from=Predecessor.of_export(base) if base else None,
            # A user's own layers may keep something when they are called.
            after_first_epoch=None if settings.model.build else early.begin,
        )  # fmt: skip
        served, written = early.taken(model)
        answers = note_answers(model, splits, spec)
        attention = note_attention(model, held_out, spec)
    write_golden_rows(served, places["raw_held_out"], f"{places['golden_rows']}/{GOLDEN_ROWS_FILE}")
    export(model, served, spec, fn_args.serving_model_dir, identity=identity, written=written)
    # They are part of the model, so that an earlier version can be checked before it goes live again.
    golden = f"{places['golden_rows']}/{GOLDEN_ROWS_FILE}"
    tf.io.gfile.copy(golden, f"{fn_args.serving_model_dir}/{EXTRA_FOLDER}/{GOLDEN_ROWS_FILE}")
    rows = {name: len(split.y) for name, split in splits.items()}
    report = {
        FORMAT: 1, "identity": identity, "parameters": model.count_params(), "rows": rows, "history": history,
        "learned": learned.model_dump(),
    }  # fmt: skip
    with tf.io.gfile.GFile(f"{places['history']}/{HISTORY_FILE}", "w") as file:
        file.write(json.dumps(report, indent=1))
    with tf.io.gfile.GFile(f"{places['history']}/{ANSWERS_FILE}", "w") as file:
        file.write(answers.model_dump_json(indent=1))
    if attention:
        with tf.io.gfile.GFile(f"{places['history']}/{ATTENTION_FILE}", "w") as file:
            file.write(attention.model_dump_json())
    shutil.rmtree(checkpoint)
