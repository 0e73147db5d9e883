"""Which spans are there, which are complete, and what is said of those that are not."""

import os
import time

import pytest

from maskline.components.ingest.spans import find, pattern_problem, select, span_name, span_number, window
from maskline.transform.errors import InputError


def make(folder, *names, age=1000):
    for path in (folder / below for below in names):
        path.mkdir(parents=True)
        (path / "a.tfrecord").touch()
        for changed in (path / "a.tfrecord", path):
            os.utime(changed, (time.time() - age,) * 2)
    return folder


def look(path, *, marker="", unchanged_for=60):
    return find(path, success_marker=marker, unchanged_for=unchanged_for)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("span-{SPAN}", ["span-3", "span-12", "span-007"]),
        ("span-{SPAN:3}", ["span-003", "span-012", "span-007"]),
        ("{SPAN}/ready", ["3/ready", "12/ready", "7/ready"]),
    ],
)
def test_spans_are_ordered_as_numbers(tmp_path, pattern, names):
    path = make(tmp_path, *names) / pattern
    found = look(path)
    assert sorted(found.complete) == [3, 7, 12]
    assert found.strays == ()
    assert select(path, found, "latest").folder == tmp_path / names[1]
    assert select(path, found, 7).folder == tmp_path / names[2]
    assert [span.number for span in window(found, found.complete[12], size=2)] == [7, 12]
    assert [span.number for span in window(found, found.complete[7], size=5)] == [3, 7]


def test_dates_are_days_since_1970_and_are_called_by_their_date(tmp_path):
    path = make(tmp_path, "2026/11-21", "2026/11-22", "2026/02-31") / "{YYYY}/{MM}-{DD}"
    found = look(path)
    assert sorted(found.complete) == [20778, 20779]
    assert [stray.name for stray in found.strays] == ["02-31"]
    assert span_name(path, 20779) == "2026-11-22"
    assert select(path, found, "2026-11-21").folder == tmp_path / "2026/11-21"
    with pytest.raises(
        InputError, match="span 2026-11-23 is not there; complete spans: 2026-11-21, 2026-11-22"
    ):
        select(path, found, "2026-11-23")


def test_newest_complete_version_counts(tmp_path):
    names = ("span-1/v1", "span-1/v2", "span-2/v9", "span-2/v10", "span-2/v11")
    path = make(tmp_path, *names) / "span-{SPAN}/v{VERSION}"
    for done in ("span-1/v1", "span-1/v2", "span-2/v9", "span-2/v10"):
        (tmp_path / done / "_SUCCESS").touch()
    found = look(path, marker="_SUCCESS")
    assert {span.number: span.version for span in found.complete.values()} == {1: 2, 2: 10}
    assert [(span.version, why) for span, why in found.waiting.items()] == [(11, "it has no _SUCCESS")]


def test_stray_names_are_none(tmp_path):
    path = make(tmp_path, "span-1", "span-tmp", "spanish", "span-2x", ".hidden") / "span-{SPAN}"
    (tmp_path / "span-9").touch()  # a file
    found = look(path)
    assert sorted(found.complete) == [1]
    assert [stray.name for stray in found.strays] == ["span-2x", "span-9", "span-tmp", "spanish"]


def test_a_span_that_still_changes_does_not_count(tmp_path):
    path = make(make(tmp_path, "span-1"), "span-2", age=10) / "span-{SPAN}"
    found = look(path)
    assert sorted(found.complete) == [1]
    with pytest.raises(InputError, match=r"span 2 is not complete: it changed 1\d s ago.*unchanged for 60 s"):
        select(path, found, 2)
    assert sorted(look(path, unchanged_for=5).complete) == [1, 2]


def test_a_missing_span_is_named(tmp_path):
    path = make(tmp_path, "span-1", "span-2") / "span-{SPAN}"
    with pytest.raises(InputError, match=r"span-\{SPAN\}: span 3 is not there; complete spans: 1, 2"):
        select(path, look(path), 3)
    with pytest.raises(InputError, match="nowhere: no such directory"):
        look(tmp_path / "nowhere/span-{SPAN}")
    make(tmp_path, "other/x")
    with pytest.raises(InputError, match="no span is there; x is not a span"):
        select("", look(tmp_path / "other/{SPAN}"), "latest")


def test_one_span_under_two_names_is_refused(tmp_path):
    path = make(tmp_path, "span-1", "span-01") / "span-{SPAN}"
    with pytest.raises(InputError, match=r"span-1: is the same span and version as .*span-01; remove one"):
        look(path)


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("a/{SPAN}/{VERSION}", None),
        ("a/{YYYY}{MM}{DD}", None),
        ("a/{SPAN}/{SPAN}", "twice"),
        ("a/{SPAN}/{YYYY}-{MM}-{DD}", "either"),
        ("a/{YYYY}-{MM}", "all of"),
        ("a/{VERSION}", "needs"),
    ],
)
def test_placeholders_must_make_sense(path, problem):
    found = pattern_problem(path)
    assert (problem is None) == (found is None)
    assert problem is None or problem in found


def test_what_is_no_span_is_refused():
    with pytest.raises(InputError, match="'soon' is not a span; give a number, or latest"):
        span_number("{SPAN}", "soon")
    with pytest.raises(InputError, match="'2026-13-01' is not a span; give a date such as"):
        span_number("{YYYY}{MM}{DD}", "2026-13-01")
