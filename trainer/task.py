"""Trainer's entry point. Thin on purpose: TFX may reload this module."""

import json
import shutil
import tempfile
from pathlib import Path

import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs

from maskline.trainer.dataset import read_rows
from maskline.trainer.export import export, keras_file, model_identity, model_identity_of
from maskline.trainer.fit import fit
from maskline.trainer.golden import write_golden_rows
from maskline.trainer.settings import TrainerSettings
from maskline.trainer.signatures import ServedModel
from maskline.transform.features import SequenceSpec


def run_fn(fn_args: FnArgs) -> None:
    """Reads the transformed examples, fits, and exports.

    Args:
      fn_args: `custom_config` holds `sequence`, `trainer` (the settings), `fingerprint` (of the source
        and packages), `checkpoints` (a folder for all trainings) and `places`
        (see `maskline.components.trainer`).

    The model goes to `serving_model_dir`, TensorBoard's logs to `model_run_dir`, the history and the
    golden rows to their places.
    """
    given = dict(fn_args.custom_config)
    places, checkpoints = given.pop("places"), given.pop("checkpoints")
    spec = SequenceSpec.model_validate(given["sequence"])
    settings = TrainerSettings.model_validate(given["trainer"])
    # Ops this small lose more by handing work to other threads than they win.
    tf.config.threading.set_intra_op_parallelism_threads(settings.training.threads)
    base = fn_args.base_model
    with tempfile.TemporaryDirectory(prefix="maskline-rows-") as folder:
        train, held_out = (
            read_rows(files, spec, Path(folder)) for files in (fn_args.train_files, fn_args.eval_files)
        )
        rows = {"train": len(train.y), "eval": len(held_out.y)}
        parts = {**given, "train": train.digest(), "eval": held_out.digest()}
        identity = model_identity(parts | ({"base": model_identity_of(base)} if base else {}))
        checkpoint = Path(checkpoints, identity[:16])
        model, history = fit(
            train, held_out, spec, settings,
            log_dir=Path(fn_args.model_run_dir),
            checkpoints=checkpoint,
            start_from=keras_file(base) if base else None,
        )  # fmt: skip
    served = ServedModel(model, tft.TFTransformOutput(fn_args.transform_output), spec)
    write_golden_rows(model, served, places["raw_eval"], f"{places['golden_rows']}/golden.tfrecord.gz")
    export(model, served, spec, fn_args.serving_model_dir, identity=identity)
    report = {"identity": identity, "parameters": model.count_params(), "rows": rows, "history": history}
    with tf.io.gfile.GFile(f"{places['history']}/history.json", "w") as file:
        file.write(json.dumps(report, indent=1))
    shutil.rmtree(checkpoint)
