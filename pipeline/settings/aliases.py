"""Names that settings had in earlier versions. They keep working, with a notice that gives today's name."""

from collections.abc import Mapping

from maskline.components.evaluation.settings import EvaluationSettings
from maskline.components.release_gate.settings import ReleaseGateSettings
from maskline.pipeline.settings.values import YamlNode

# Sections that have another name today.
SECTIONS: Mapping[str, str] = {"gate": "data_gate", "checks": "model_checks"}


def current(path: tuple[str, ...]) -> tuple[str, ...]:
    """Today's path of a setting, such as `("data_gate", "max_drift")` for `("gate", "max_drift")`.

    The bars of a release stood under `evaluation` once, and a bar that is added today is found there too.
    """
    section, *rest = path
    if section in SECTIONS:
        return (SECTIONS[section], *rest)
    if section == "evaluation" and rest:
        moved = ReleaseGateSettings.model_fields.keys() - EvaluationSettings.model_fields.keys()
        if rest[0] in moved:
            return ("release_gate", *rest)
    return path


def with_current_names(values: YamlNode) -> tuple[YamlNode, list[str]]:
    """Puts what stands under an old name where it belongs today.

    Args:
      values: all that one source sets, a mapping.

    Returns:
      the same by today's names, and a notice for each old one.

    Raises:
      InputError: a setting stands under both of its names.
    """
    found: dict[str, YamlNode] = {}
    notices: list[str] = []
    for section, node in values.value.items():
        parts: dict[tuple[str, ...], YamlNode] = {(section,): node}
        if current((section,)) == (section,) and isinstance(node.value, Mapping):
            moved = {key for key in node.value if current((section, key)) != (section, key)}
            kept = {key: inner for key, inner in node.value.items() if key not in moved}
            parts = {(section, key): node.value[key] for key in sorted(moved)}
            if kept or not moved:
                parts[section,] = YamlNode(kept, node.source)
        for old, part in parts.items():
            new = current(old)
            if new != old:
                notices.append(f"{'.'.join(old)} is called {'.'.join(new)} now ({part.source})")
            for key in reversed(new[1:]):
                part = YamlNode({key: part}, part.source)
            found[new[0]] = _both(found[new[0]], part, new[:1]) if new[0] in found else part
    return YamlNode(found, values.source), notices


def _both(first: YamlNode, second: YamlNode, path: tuple[str, ...]) -> YamlNode:
    if not isinstance(first.value, Mapping) or not isinstance(second.value, Mapping):
        raise second.source.refuse(
            f"{'.'.join(path)}: stands here and, under its other name, at {first.source}; keep one of them"
        )
    merged = dict(first.value)
    for key, node in second.value.items():
        merged[key] = _both(merged[key], node, (*path, key)) if key in merged else node
    return YamlNode(merged, first.source)
