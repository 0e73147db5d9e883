"""Finds spans of data on disk: numbered or dated folders, and versions of them. No TFX, no TensorFlow.

The placeholders are those of TFX's ExampleGen: `{SPAN}` or `{YYYY}`, `{MM}` and `{DD}`, and `{VERSION}`; the
first and the last take a width, as `{SPAN:3}`. A date's span number is its days since 1970-01-01, as in TFX.
TFX's own search is not used: a stray name ends it, a missing span is not named, a width is lost, and it
knows nothing of spans that are still being written.
"""

import difflib
import re
import time
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

from maskline.components.ingest.listing import entries_of
from maskline.transform.errors import InputError
from maskline.transform.shown import shown

LATEST = "latest"
_PLACEHOLDER = re.compile(r"\{(SPAN|VERSION|YYYY|MM|DD)(?::(\d+))?\}")
_LIKE_ONE = re.compile(r"\{([^{}/:]*)(:[^{}/]*)?\}")
_NAMES = ("SPAN", "VERSION", "YYYY", "MM", "DD")
_DATE = ("YYYY", "MM", "DD")
_DATE_DIGITS = {"YYYY": "4", "MM": "2", "DD": "2"}
_EPOCH = date(1970, 1, 1)
_LAST_DAY = (date.max - _EPOCH).days
_LAST_SPAN = 2**31 - 1
_DIGITS = re.compile(r"[0-9]{1,10}")


class Span(NamedTuple):
    """One delivery of one span: its number, its version (0 where versions are not used), its folder."""

    number: int
    version: int
    folder: Path


class Deliveries(NamedTuple):
    """What lies at a pattern.

    Attributes:
      complete: span number → its newest complete version.
      waiting: deliveries that are not complete, and why.
      strays: what lies beside the spans and is not a span.
    """

    complete: Mapping[int, Span]
    waiting: Mapping[Span, str]
    strays: tuple[Path, ...]


def is_pattern(path: Path | str) -> bool:
    """True for a path with placeholders."""
    return _PLACEHOLDER.search(str(path)) is not None


def pattern_problem(path: Path | str) -> str | None:
    """Says what is wrong with the placeholders of a path, or None."""
    names = [match[1] for match in _PLACEHOLDER.finditer(str(path))]
    if problem := next(filter(None, map(_placeholder_problem, _LIKE_ONE.finditer(str(path)))), None):
        return problem
    if len(set(names)) < len(names):
        return "a placeholder stands twice"
    dates = [part for part in _DATE if part in names]
    if dates and ("SPAN" in names or len(dates) < 3):
        return "give either {SPAN} or all of {YYYY}, {MM} and {DD}"
    if names == ["VERSION"]:
        return "{VERSION} needs {SPAN} or a date before it"
    if names and "://" in str(path):
        return "spans are looked for in a mounted folder, not at a URL"
    return None


def _placeholder_problem(found: re.Match[str]) -> str | None:
    """Says what is wrong with a part of a path in braces that is, or was meant as, a placeholder."""
    near = difflib.get_close_matches(found[1].upper(), _NAMES, n=1, cutoff=0.7)
    if not near:
        return None  # a folder may have braces in its name
    if found[1] != near[0]:
        return f"{shown(found[0])} is no placeholder; did you mean {{{near[0]}}}?"
    if found[2] is not None and not re.fullmatch(":[1-9]", found[2]):
        return f"{shown(found[0])}: the width is a number from 1 to 9, as in {{{near[0]}:3}}"
    return None


def split_pattern(path: Path | str) -> tuple[Path, tuple[str, ...]]:
    """The folder that holds the spans, and the names below it, the first with a placeholder."""
    parts = Path(path).parts
    first = next(index for index, part in enumerate(parts) if is_pattern(part))
    return Path(*parts[:first]), parts[first:]


def find(path: Path | str, *, success_marker: str, unchanged_for: float) -> Deliveries:
    """Looks for spans.

    Args:
      path: with placeholders.
      success_marker: a file in a span's folder that says it is complete; empty where there is none.
      unchanged_for: without a marker, a span is complete when its files are that many seconds old.

    Raises:
      InputError: the folder of the spans is not there, or a delivery is there twice.
    """
    base, names = split_pattern(path)
    if not base.is_dir():
        raise InputError(f"{base}: no such directory; the spans of {path} should be in it")
    strays: list[Path] = []
    found: dict[tuple[int, int], Span] = {}
    waiting: dict[Span, str] = {}
    for folder, values in _walk(base, names, {}, strays):
        number = _number(values)
        if number is None:
            strays.append(folder)
            continue
        span = Span(number, int(values.get("VERSION") or 0), folder)
        twin = found.setdefault(span[:2], span)
        if twin is not span:
            raise InputError(f"{folder}: is the same span and version as {twin.folder}; remove one")
        if why := _why_waiting(folder, success_marker, unchanged_for):
            waiting[span] = why
    newest = {span.number: span for span in sorted(found.values()) if span not in waiting}
    return Deliveries(newest, waiting, tuple(strays))


def select(path: Path | str, deliveries: Deliveries, wanted: int | str) -> Span:
    """The newest complete version of the span that was asked for.

    Args:
      path: with placeholders, for messages.
      deliveries: what `find` found.
      wanted: a number, a date as `2026-11-22` or as the folders show it, or `latest`.

    Raises:
      InputError: it is not there, or not complete; names it, and what is there.
    """
    complete = deliveries.complete
    if wanted == LATEST and complete:
        return complete[max(complete)]
    number = None if wanted == LATEST else span_number(path, wanted)
    if number is not None and number in complete:
        return complete[number]
    for span, why in deliveries.waiting.items():
        if number in (None, span.number):
            raise InputError(f"{span.folder}: span {span_name(path, span.number)} is not complete: {why}")
    if number is None:
        strays = f"; {deliveries.strays[0].name} is not a span" if deliveries.strays else ""
        raise InputError(f"{path}: no span is there{strays}")
    there = ", ".join(span_name(path, known) for known in sorted(complete)[-5:])
    others = f"complete spans: {there}" if there else "no span is complete"
    raise InputError(f"{path}: span {span_name(path, number)} is not there; {others}")


def window(deliveries: Deliveries, newest: Span, *, size: int) -> list[Span]:
    """The last `size` complete spans up to `newest`, the oldest first."""
    numbers = sorted(number for number in deliveries.complete if number <= newest.number)
    return [deliveries.complete[number] for number in numbers[-size:]]


def span_number(path: Path | str, wanted: int | str) -> int:
    """The number of a span that was asked for by number or by date.

    Raises:
      InputError: it is neither.
    """
    text = str(wanted)
    dated = "{YYYY}" in str(path)
    number = _date_number(path, text) if dated else None
    if number is None and _DIGITS.fullmatch(text) and int(text) <= (_LAST_DAY if dated else _LAST_SPAN):
        number = int(text)
    if number is None:
        kinds = f"a date such as {_shown_date(path, date(2026, 11, 22))}" if dated else "a number"
        raise InputError(f"data.span: {shown(text)} is not a span; give {kinds}, or latest")
    return number


def _date_number(path: Path | str, text: str) -> int | None:
    """The days since 1970-01-01 of a date, written as ISO 8601 or as the folders show it; else None."""
    # The part of the path that holds the date, from its first placeholder to its last.
    found = [match for match in _PLACEHOLDER.finditer(str(path)) if match[1] in _DATE]
    shown = _expression(str(path)[found[0].start() : found[-1].end()])
    iso = re.compile(r"(?P<YYYY>[0-9]{4})-(?P<MM>[0-9]{2})-(?P<DD>[0-9]{2})")
    match = shown.fullmatch(text) or iso.fullmatch(text)
    return _number(match.groupdict()) if match else None


def _shown_date(path: Path | str, day: date) -> str:
    """A date as the folders of a path show it."""
    found = [match for match in _PLACEHOLDER.finditer(str(path)) if match[1] in _DATE]
    text = str(path)[found[0].start() : found[-1].end()]
    return text.replace("{YYYY}", f"{day:%Y}").replace("{MM}", f"{day:%m}").replace("{DD}", f"{day:%d}")


def span_name(path: Path | str, number: int) -> str:
    """What a person calls a span: its date where the pattern has dates, else its number."""
    return str(_EPOCH + timedelta(number)) if "{YYYY}" in str(path) else str(number)


def _walk(
    folder: Path, names: tuple[str, ...], values: Mapping[str, str], strays: list[Path]
) -> Iterator[tuple[Path, Mapping[str, str]]]:
    """Folders that match all the names, with what their placeholders stand for."""
    if not names:
        yield folder, values
    elif is_pattern(names[0]):
        expression = _expression(names[0])
        for entry in entries_of(folder):
            match = expression.fullmatch(entry.name)
            if match and entry.is_dir():
                yield from _walk(entry, names[1:], {**values, **match.groupdict()}, strays)
            elif not entry.name.startswith("."):
                strays.append(entry)
    elif (folder / names[0]).is_dir():
        yield from _walk(folder / names[0], names[1:], values, strays)
    else:
        strays.append(folder)


def _expression(pattern: str) -> re.Pattern[str]:
    text, end = "", 0
    for match in _PLACEHOLDER.finditer(pattern):
        width = match[2] or _DATE_DIGITS.get(match[1])
        digits = f"{{{width}}}" if width else "+"
        text += re.escape(pattern[end : match.start()]) + f"(?P<{match[1]}>[0-9]{digits})"
        end = match.end()
    return re.compile(text + re.escape(pattern[end:]))


def _number(values: Mapping[str, str]) -> int | None:
    if "SPAN" in values:
        return int(values["SPAN"])
    try:
        return (date(*(int(values[part]) for part in _DATE)) - _EPOCH).days
    except ValueError:  # such as a 31st of February
        return None


def _why_waiting(folder: Path, success_marker: str, unchanged_for: float) -> str | None:
    """Says why a delivery does not count yet, or None."""
    if success_marker:
        return None if (folder / success_marker).exists() else f"it has no {success_marker}"
    try:
        # Of a link its own time: what it leads to may not be there, in a span that nobody asks for.
        newest = max(entry.lstat().st_mtime for entry in (folder, *folder.rglob("*")))
    except FileNotFoundError as error:
        return f"it is changing: {error.filename} is gone"
    age = time.time() - newest
    if age < unchanged_for:
        return f"it changed {max(age, 0):.0f} s ago; it must be unchanged for {unchanged_for:g} s"
    return None
