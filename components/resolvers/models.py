"""Finds models that earlier runs left: the live one, the best one, and the one to begin training from."""

import ml_metadata as mlmd
from tfx import types
from tfx.dsl.components.common.resolver import ResolverStrategy
from tfx.dsl.io import fileio

from maskline.components.artifacts import candidate_identity
from maskline.components.resolvers.best import most_accurate


class LiveModelStrategy(ResolverStrategy):
    """Resolves the model that is live, and the most accurate one that was released; never the candidate.

    For a candidate that was released before, they are those of the time just before that: the question
    is then the same as the first time, and the Evaluator's answer comes from the cache.
    """

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Resolves `candidate` (one Model), `model` and `best` (all), `release` and `blessing` (all).

        Returns:
          `model` and `release`: one artifact each, or none; `best`: one, or none where it is the live one
          or is gone; `candidate` and `blessing`: none.
        """
        if not input_dict["candidate"]:
            # The data gate stopped the run; TFX asks for the inputs before it looks at the condition.
            return {key: [] for key in input_dict}
        identity = candidate_identity(input_dict["candidate"][0])
        releases = sorted(input_dict["release"], key=lambda release: release.id)
        own = [release.identity == identity for release in releases]
        if True in own:
            releases = releases[: own.index(True)]
        live = releases[-1:]
        models = [m for m in input_dict["model"] if live and m.id == live[0].model_id]
        best = _most_accurate(releases, input_dict["best"], input_dict["blessing"])
        return {
            "candidate": [],
            "model": models,
            "best": [m for m in best if models and m.id != models[0].id],
            "release": live if models else [],
            "blessing": [],
        }


def _most_accurate(
    releases: list[types.Artifact], models: list[types.Artifact], blessings: list[types.Artifact]
) -> list[types.Artifact]:
    """The most accurate released model, or none; see `best.most_accurate`."""
    given = [[artifact.mlmd_artifact for artifact in part] for part in (releases, models, blessings)]
    found = most_accurate(given[0], given[1], given[2], lambda model: fileio.exists(model.uri))
    return [model for model in models if found is not None and model.id == found.id]


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
