"""Makes the ids of a row fit: unknown symbols, and rows that are too long. No tensors, no files.

`fitting_graph` does the same to tensors, where a model is asked.
"""

from collections.abc import Mapping, Sequence

from maskline.transform.features import SequenceSpec


def known(ids: Sequence[int], spec: SequenceSpec) -> Sequence[int]:
    """The ids of a feature, with that of `sequence.unknown` for each id outside the vocabulary."""
    unknown = spec.unknown_id
    if unknown is None or (not ids or (min(ids) >= 0 and max(ids) < spec.size)):
        return ids
    return [value if 0 <= value < spec.size else unknown for value in ids]


def room(lengths: Sequence[int], length: int) -> list[int]:
    """How many ids each feature keeps, so that all of them fit: the longest features lose first.

    Args:
      lengths: ids of each feature, at least one.
      length: of the joined row.

    Returns:
      for each feature the ids that it keeps, at least one if `length` has room for one of each.
    """
    left = length - (len(lengths) - 1)
    kept = [0] * len(lengths)
    for rank, place in enumerate(sorted(range(len(lengths)), key=lengths.__getitem__)):
        kept[place] = min(lengths[place], left // (len(lengths) - rank))
        left -= kept[place]
    return kept


def cut(values: Mapping[str, Sequence[int]], spec: SequenceSpec) -> dict[str, list[int]]:
    """What is left of a row that is too long, by `sequence.too_long`.

    Args:
      values: feature name → ids, none of them empty; where each id of a feature has a label, with the label.
      spec: which end is kept, and how much.

    Returns:
      the features that lose ids, and the label of one of them; empty where the row fits, or must not be cut.
    """
    if spec.too_long == "refuse":
        return {}
    lengths = [len(values[name]) for name in spec.features]
    shorter = dict(zip(spec.features, room(lengths, spec.length), strict=True))
    if spec.task.kind == "each" and spec.label in values:
        shorter[spec.label] = shorter[spec.tagged]
    found = {}
    for name, kept in shorter.items():
        if kept < (total := len(values[name])):
            first = total - kept if spec.too_long == "keep_end" else 0
            found[name] = list(values[name][first : first + kept])
    return found
