"""Finds the live model, which a candidate is compared with."""

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
