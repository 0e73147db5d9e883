"""Trainer's entry point. Thin on purpose: TFX may reload this module."""

import json
from pathlib import Path

import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs

from trainer.config import TrainerSettings
from trainer.dataset import read_rows
from trainer.export import export, model_identity
from trainer.fit import fit
from transform.features import SequenceSpec


def run_fn(fn_args: FnArgs) -> None:
    """Reads the transformed examples, fits, and exports.

    Args:
      fn_args: `custom_config` holds `sequence`, `trainer` (the settings) and `fingerprint` (of the
        source and packages).

    The model goes to `serving_model_dir`; TensorBoard's logs and `training.json` (rows, history,
    identity) to `model_run_dir`.
    """
    given = fn_args.custom_config
    spec = SequenceSpec.model_validate(given["sequence"])
    settings = TrainerSettings.model_validate(given["trainer"])
    # Ops this small lose more by handing work to other threads than they win.
    tf.config.threading.set_intra_op_parallelism_threads(settings.training.threads)
    train, held_out = read_rows(fn_args.train_files, spec), read_rows(fn_args.eval_files, spec)
    model, history = fit(train, held_out, spec, settings, Path(fn_args.model_run_dir))
    identity = model_identity({**given, "train": train.digest(), "eval": held_out.digest()})
    transform = tft.TFTransformOutput(fn_args.transform_output)
    export(model, transform, spec, fn_args.serving_model_dir, identity=identity)
    report = {
        "identity": identity,
        "parameters": model.count_params(),
        "rows": {"train": len(train.y), "eval": len(held_out.y)},
        "history": history,
    }
    with tf.io.gfile.GFile(f"{fn_args.model_run_dir}/training.json", "w") as file:
        file.write(json.dumps(report, indent=1))
