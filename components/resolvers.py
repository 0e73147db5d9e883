"""Finds what earlier runs left: the live model, and what passed the data gate."""

import ml_metadata as mlmd
from tfx import types
from tfx.components.evaluator.constants import ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY
from tfx.dsl.components.common.resolver import ResolverStrategy
from tfx.dsl.io import fileio

from maskline.components.release_gate.component import ACCURACY
from maskline.components.releases import candidate_identity

# Custom properties of a data gate's verdict: the artifacts that it is about.
EXAMPLES_ID = "examples_id"
STATISTICS_ID = "statistics_id"


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
    """The released model that had the highest accuracy when it was evaluated; the newest of equals."""
    accuracy = {
        blessing.get_int_custom_property(ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY): (
            blessing.get_float_custom_property(ACCURACY),
            blessing.id,
        )
        for blessing in blessings
    }
    released = {release.model_id for release in releases} & accuracy.keys()
    there = [m for m in models if m.id in released and fileio.exists(m.uri)]
    return sorted(there, key=lambda m: accuracy[m.id])[-1:]


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


class PreviousSpanStrategy(ResolverStrategy):
    """Resolves the statistics of the newest earlier span that passed the data gate.

    In a plain directory every ingest has span 0; there, the ingests follow each other as they came.
    """

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Resolves `current` (one), `statistics` (all) and `verdict` (all).

        Returns:
          `statistics`: one artifact, or none; the others: none.
        """
        [current] = input_dict["current"]
        passed = {v.get_int_custom_property(STATISTICS_ID) for v in input_dict["verdict"] if v.passed}
        earlier = [
            s
            for s in input_dict["statistics"]
            if s.id in passed
            and (s.span < current.span or (s.span == current.span == 0 and s.id < current.id))
        ]
        newest = sorted(earlier, key=lambda s: (s.span, s.id))[-1:]
        return {"current": [], "statistics": newest, "verdict": []}


class AcceptedStrategy(ResolverStrategy):
    """Resolves the verdict that what follows the data gate depends on.

    Conditions are inputs to TFX's cache. Where the same examples pass once more, by other rules or
    beside another previous span, it is therefore the first verdict that let them pass: whatever was
    made of them stays.
    """

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Resolves `verdict` (one, today's) and `earlier` (all).

        Returns:
          `verdict`: one artifact; `earlier`: none.
        """
        [verdict] = input_dict["verdict"]
        if verdict.passed:
            examples = verdict.get_int_custom_property(EXAMPLES_ID)
            passed = [v for v in input_dict["earlier"] if v.passed]
            same = [v for v in passed if v.get_int_custom_property(EXAMPLES_ID) == examples]
            verdict = min([verdict, *same], key=lambda v: v.id)
        return {"verdict": [verdict], "earlier": []}
