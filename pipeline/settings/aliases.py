"""Names that settings had in earlier versions. They keep working, with a notice that gives today's name."""

from collections.abc import Mapping

from maskline.components.evaluation.settings import EvaluationSettings
from maskline.components.release_gate.rules import ReleaseGateSettings

# Sections that have another name today.
_SECTIONS: Mapping[str, str] = {"gate": "data_gate", "checks": "model_checks"}


def current(path: tuple[str, ...]) -> tuple[str, ...]:
    """Today's path of a setting, such as `("data_gate", "max_drift")` for `("gate", "max_drift")`.

    The bars of a release stood under `evaluation` once, and a bar that is added today is found there too.
    """
    if not path:
        return path
    section, *rest = path
    if section in _SECTIONS:
        return (_SECTIONS[section], *rest)
    if section == "evaluation" and rest:
        moved = ReleaseGateSettings.model_fields.keys() - EvaluationSettings.model_fields.keys()
        if rest[0] in moved:
            return ("release_gate", *rest)
    return path
