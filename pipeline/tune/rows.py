"""Reads the rows of the last run, as its Trainer read them. Imports TensorFlow."""

from pathlib import Path

import tensorflow as tf
from ml_metadata.proto import metadata_store_pb2 as mlmd

from maskline.pipeline.registry.store import connect
from maskline.pipeline.settings.sections import Settings
from maskline.trainer.dataset import Rows, read_rows
from maskline.transform.errors import InputError
from maskline.transform.names import EVAL, NODE_CONTEXT, RUN_CONTEXT, TRAIN, ArtifactType, Node


def rows_of(settings: Settings, run: str, folder: Path) -> tuple[Rows, Rows]:
    """The train and the eval split of a run; never the test split.

    Args:
      settings: of the run.
      run: its name.
      folder: for files of rows, which must exist as long as they are used.

    Raises:
      InputError: the run made no rows, as where DataGate stopped it.
    """
    # As Trainer does; nothing of TensorFlow has run before.
    tf.config.threading.set_intra_op_parallelism_threads(settings.training.threads)
    store = connect(settings.metadata_file, read_only=True)
    context = store.get_context_by_type_and_name(RUN_CONTEXT, run)
    for execution in store.get_executions_by_context(context.id) if context else ():
        nodes = [c.name for c in store.get_contexts_by_execution(execution.id) if c.type == NODE_CONTEXT]
        if not any(name.split(".")[-1] == Node.TRANSFORM for name in nodes):
            continue
        events = store.get_events_by_execution_ids([execution.id])
        made = store.get_artifacts_by_id([e.artifact_id for e in events if e.type == mlmd.Event.OUTPUT])
        for artifact in made:
            if artifact.type == ArtifactType.EXAMPLES:
                place = settings.root / artifact.uri
                train, held_out = (
                    read_rows([f"{place}/Split-{split}/*"], settings.sequence, folder)
                    for split in (TRAIN, EVAL)
                )
                return train, held_out
    raise InputError(f"run {run}: made no rows to train on; `maskline show` says why")
