"""Finds the live model: to compare a candidate with, and to begin a training with."""

import ml_metadata as mlmd
from tfx import types
from tfx.dsl.components.common.resolver import ResolverStrategy

from components.releases import candidate_identity


class LiveModelStrategy(ResolverStrategy):
    """Resolves the model that the newest Release names; never the candidate itself.

    For a candidate that was released before, it is the model that was live just before that: the
    question is then the same as the first time, and the Evaluator's answer comes from the cache.
    """

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Resolves `candidate` (one Model), `model` (all) and `release` (all).

        Returns:
          `model` and `release`: one artifact each, or none; `candidate`: none.
        """
        identity = candidate_identity(input_dict["candidate"][0])
        releases = sorted(input_dict["release"], key=lambda release: release.id)
        own = [release.identity == identity for release in releases]
        if True in own:
            releases = releases[: own.index(True)]
        live = releases[-1:]
        models = [m for m in input_dict["model"] if live and m.id == live[0].model_id]
        return {"candidate": [], "model": models, "release": live if models else []}


class BaseModelStrategy(ResolverStrategy):
    """Resolves the newest released model that was trained on other examples than these.

    A training must not begin with a model that came out of it, or every run on unchanged data would
    train once more.
    """

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Resolves `examples` (transformed), `model` (all) and `release` (all).

        Returns:
          `model`: one artifact, or none; `examples` and `release`: none.
        """
        examples = {artifact.id for artifact in input_dict["examples"]}
        models = {artifact.id: artifact for artifact in input_dict["model"]}
        for release in sorted(input_dict["release"], key=lambda release: release.id, reverse=True):
            model = models.get(release.model_id)
            if model and not examples & _trained_on(store, model.id):
                return {"examples": [], "model": [model], "release": []}
        return {"examples": [], "model": [], "release": []}


def _trained_on(store: mlmd.MetadataStore, model_id: int) -> set[int]:
    """The ids of the artifacts that went into the training of a model."""
    made_by = {event.execution_id for event in store.get_events_by_artifact_ids([model_id])
               if event.type == mlmd.proto.Event.OUTPUT}  # fmt: skip
    events = store.get_events_by_execution_ids(sorted(made_by))
    return {event.artifact_id for event in events if event.type == mlmd.proto.Event.INPUT}
