"""`schedule.retrain`: whether a new span is trained on, or only scored and recorded."""

import json
from collections.abc import Callable

from maskline.components.pusher.contents import Version
from maskline.pipeline.schedule.scoring import Score
from maskline.pipeline.settings.sections import Settings
from maskline.transform.names import ACCURACY, EXTRA_FOLDER, FACTS_FILE


def reason_to_skip(settings: Settings, live: Version, score: Callable[[], Score], newer: int) -> str:
    """Why a new span is not trained on, or an empty string where it is.

    What cannot be measured is a reason to train.

    Args:
      settings: as they are now.
      live: the live version.
      score: asks the live model the span, with its drift; called only where that matters.
      newer: how many new spans there are since the last run, this one among them.
    """
    policy = settings.schedule.retrain
    if policy == "always":
        return ""
    if policy.startswith("every "):
        wanted = int(policy.split()[1])
        return (
            "" if newer >= wanted else f"schedule.retrain is '{policy}', and {newer} came since the last run"
        )
    found = score()
    if policy == "on_decay":
        return _no_decay(settings, live, found)
    if found.problem or not found.drift:
        return ""
    limit = settings.data_gate.max_drift
    if any(one.divergence > limit + one.chance for one in found.drift):
        return ""
    most = max(found.drift, key=lambda one: one.divergence - one.chance)
    return (
        f"schedule.retrain is on_drift, and no feature drifted: {most.feature} by {most.divergence:.4f} "
        f"bits, allowed are {limit:g} beyond {most.chance:.4f} by chance"
    )


def _no_decay(settings: Settings, live: Version, found: Score) -> str:
    try:
        released = float(
            json.loads((live.path / EXTRA_FOLDER / FACTS_FILE).read_bytes())["metrics"][ACCURACY]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    if found.accuracy is None or found.accuracy < settings.schedule.min_live_accuracy:
        return ""
    lost = released - found.accuracy
    if lost > settings.schedule.max_decay:
        return ""
    return (
        f"schedule.retrain is on_decay, and live version {live.number} is right on {found.accuracy:.1%} of "
        f"new rows, {released:.1%} at its release"
    )
