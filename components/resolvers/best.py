"""The most accurate released model: one rule, for the resolver and for `maskline gc`. No TFX."""

from collections.abc import Callable, Iterable

from ml_metadata.proto import metadata_store_pb2 as mlmd

from maskline.transform.names import ACCURACY, BLESSED_MODEL_ID, MODEL_ID

_GONE = (mlmd.Artifact.MARKED_FOR_DELETION, mlmd.Artifact.DELETED)


def most_accurate(
    releases: Iterable[mlmd.Artifact],
    models: Iterable[mlmd.Artifact],
    blessings: Iterable[mlmd.Artifact],
    is_there: Callable[[mlmd.Artifact], bool],
) -> mlmd.Artifact | None:
    """The released model that had the highest accuracy when it was evaluated.

    Args:
      releases: records of what went live.
      models: Model artifacts; those that are recorded as deleted are ignored.
      blessings: the gate's; each carries the accuracy of its model, and of several the newest counts.
      is_there: whether the files of a model still exist; it is asked of the best ones only.

    Returns:
      the model; of two with the same accuracy the one that was blessed last; None where there is none.
    """
    accuracy = {
        blessing.custom_properties[BLESSED_MODEL_ID].int_value: (
            blessing.custom_properties[ACCURACY].double_value,
            blessing.id,
        )
        for blessing in sorted(blessings, key=lambda blessing: blessing.id)
        if ACCURACY in blessing.custom_properties
    }
    released = {release.properties[MODEL_ID].int_value for release in releases} & accuracy.keys()
    known = [m for m in models if m.id in released and m.state not in _GONE]
    ranked = sorted(known, key=lambda model: accuracy[model.id], reverse=True)
    return next((model for model in ranked if is_there(model)), None)
