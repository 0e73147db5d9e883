"""The report of a run: every section says what is known, or that it is not; nothing in it acts."""

import re
from importlib import metadata
from itertools import pairwise

import pytest

import maskline
from maskline.components.verdict import Scale
from maskline.pipeline.registry.record import Component, Run
from maskline.pipeline.report import page, report
from maskline.pipeline.report.blocks import Figure, Words
from maskline.pipeline.report.known import Lineage
from maskline.pipeline.report.sections.flow import BOX, HIGH, layout
from maskline.pipeline.report.sections.gates import room
from maskline.transform.errors import InputError
from tests.pipeline.report.made_up import NODES, made_up

NAMES = ["outcome", "flow", "data", "training", "masking", "evaluation", "wrong", "gates", "setup"]
FIGURES = {
    "components", "lengths", "symbols-0", "quarantine", "loss", "accuracy", "speed", "attention-0", "slices",
    "compared", "power", "confusion", "reliability", "datagate", "releasegate", "modelchecks",
}  # fmt: skip
HOSTILE = (
    "</text><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\x1b[31m"
)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """The sections of a run of which all is known."""
    return list(report.sections(made_up(tmp_path_factory.mktemp("root"))))


def html(found):
    return page.render("run", heading="h", tone="good", summary="", contents=found, sections=found)


def test_page_needs_no_installed_package(found, monkeypatch):
    """As in the image, which holds the source as it is."""

    def hide(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", hide)
    assert f"Made by maskline {maskline.__version__}: " in html(found)


def figures(found):
    return {b.name: b for s in found for b in s.blocks if isinstance(b, Figure)}


def test_every_section_has_its_figures(found):
    assert [section.name for section in found] == NAMES
    assert figures(found).keys() == FIGURES
    assert not [b for s in found for b in s.blocks if isinstance(b, Words) and b.kind == "missing"]


def test_what_is_not_known_is_said_in_its_place(tmp_path):
    known = made_up(tmp_path)
    known.run = Run(run="r", components=[])
    for name in ("history", "answers", "attention", "counts", "counts_before", "facts", "live_facts"):
        setattr(known, name, None)
    known.lineage, known.card = Lineage([], {}, None), ""
    sections = list(report.sections(known))
    kinds = {s.name: [b.kind for b in s.blocks if isinstance(b, Words)] for s in sections}
    assert {name for name in kinds if "missing" in kinds[name]} == set(NAMES) - {"outcome"}
    assert not figures(sections)


def test_old_run_without_figures_of_its_checks_and_rows_says_so(tmp_path):
    known = made_up(tmp_path)
    known.run.evaluation = known.run.evaluation.model_copy(update={"reliability": {}, "confusion": ()})
    known.run.verdicts = {
        gate: verdict.model_copy(
            update={"checks": tuple(c.model_copy(update={"scale": None}) for c in verdict.checks)}
        )
        for gate, verdict in known.run.verdicts.items()
    }
    for entry in known.history:
        del entry["learning_rate"]
    gone = {"confusion", "reliability", "datagate", "releasegate", "modelchecks"}
    drawn = figures(report.sections(known))
    assert drawn.keys() == FIGURES - gone
    assert "not recorded" in drawn["speed"].caption


def test_page_is_one_small_file_that_reaches_for_nothing_and_is_the_same_each_time(tmp_path, found):
    text = html(found)
    again = {s.name: s.blocks for s in report.sections(made_up(tmp_path))}
    for section in found[1:]:  # the first one names the root
        assert section.blocks == again[section.name]
    assert len(text.encode()) < 2_000_000
    links = set(re.findall(r'(?:href|src|url)\s*[=(]\s*"?([^")\s]+)', text))
    assert all(link.startswith(("#", "data:")) for link in links), links
    assert "<script" not in text


def test_what_a_user_wrote_is_text_everywhere(tmp_path):
    text = html(list(report.sections(made_up(tmp_path, symbol=HOSTILE))))
    assert "<script" not in text
    assert "<img" not in text
    assert "\x1b" not in text
    assert "<b>more</b>" not in text  # of a card, which is Markdown without HTML
    assert text.count("&lt;script&gt;") > 10


def test_ids_are_unique_also_where_runs_stand_side_by_side(tmp_path, found):
    parts = [*found, *report.sections(made_up(tmp_path), "r2-")]
    pictures = "".join(b.picture for s in parts for b in s.blocks if isinstance(b, Figure))
    ids = re.findall(r' id="([^"]+)"', pictures)
    assert len(ids) == len(set(ids)) > 100
    assert set(re.findall(r'(?:url\(|href=")#([^")]+)', pictures)) <= set(ids)


def test_first_words_say_the_outcome_and_the_first_section_why_and_what_next(tmp_path, found):
    known = made_up(tmp_path)
    assert report.divided(known.headline.text)[0] == "Not released"
    assert report.divided("Released as version 1. It is right.") == ("Released as version 1.", "It is right.")
    outcome = found[0]
    [why] = [b for b in outcome.blocks if isinstance(b, Words) and b.kind == "bad"]
    assert why.title == "Why not: ReleaseGate said no"
    assert why.lines == ("loss of 'x': 0.2; a bound of 0.1", "advice about x")
    [following] = [b for b in outcome.blocks if isinstance(b, Words) and b.kind == "list"]
    assert any("advice about x" in line for line in following.lines)


@pytest.mark.parametrize(
    ("value", "limit", "at_least", "expected"),
    [(0.8, 0.4, True, 0.5), (0.4, 0.8, True, -0.5), (50, 100, False, 0.5), (200, 100, False, -0.5),
     (0, 0, True, 0), (-0.02, -0.04, True, 0.5), (9, -1, True, 1), (-9, 1, True, -1)],
)  # fmt: skip
def test_room_within_a_bound_is_relative_to_the_larger_of_the_two(value, limit, at_least, expected):
    assert room(Scale(value=value, limit=limit, at_least=at_least)) == pytest.approx(expected)


def test_every_component_stands_below_what_it_read_and_none_on_another():
    parts = [Component(name=n, state="COMPLETE", seconds=1) for n in (*NODES, "PreviousSpan", "Accepted")]
    edges = [*pairwise(NODES), ("ExampleGen", "Pusher"), ("PreviousSpan", "DataGate")]
    found = layout(parts, edges)
    place = {box.name: box for box in found.boxes}
    for maker, reader in edges:
        assert place[maker].y + HIGH < place[reader].y
    assert len({(box.x, box.y) for box in found.boxes}) == len(parts)
    assert all(box.x > 0 and box.x + BOX < found.width and box.y + HIGH < found.height for box in found.boxes)
    # What reaches Pusher through all others needs no arrow of its own.
    assert len(found.arrows) == len(edges) - 1


def test_report_is_whole_or_not_there(tmp_path):
    file = tmp_path / "reports/r.html"
    report.write("new", file)
    assert [path.name for path in file.parent.iterdir()] == ["r.html"]
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        report.write("text", tmp_path / "file/r.html")
