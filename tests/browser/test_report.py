"""A report in a real browser: its pictures show its numbers, it reaches for nothing, anybody can read it."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from maskline.pipeline.report import history, page, report
from maskline.pipeline.report.known import HistoryEntry, LivePeriod
from tests.pipeline.report.made_up import CONFUSION, LENGTHS, LOSSES, made_up
from tests.pipeline.report.test_report import FIGURES, HOSTILE, NAMES
from tests.support import maskline


def written(folder, **given):
    known = made_up(folder / "root", **given)
    found = list(report.sections(known))
    heading, summary = report.divided(known.headline.text)
    text = page.render("run", heading=heading, summary=summary, tone="bad", contents=found, sections=found)
    report.write(text, folder / "report.html")
    return folder / "report.html"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return written(tmp_path_factory.mktemp("report"))


def test_every_figure_is_drawn_and_the_page_asks_for_nothing_and_complains_of_nothing(file, open_page):
    opened = open_page(file)
    assert opened.page.eval_on_selector_all("section", "s => s.map(one => one.id)") == NAMES
    sizes = opened.page.eval_on_selector_all(
        "figure", "all => all.map(f => [f.id, f.querySelector('svg').getBoundingClientRect().height])"
    )
    assert {name for name, height in sizes if height > 60} == {f"figure-{name}" for name in FIGURES}
    assert opened.requests == [file.as_uri()]
    assert opened.complaints == []


def test_numbers_in_the_page_are_those_of_the_run(file, open_page):
    opened = open_page(file)
    assert opened.grid("lengths") == [["9", "20", "5"], ["10", "40", "10"], ["11", "10", "0"]]
    assert opened.grid("loss") == [[str(n), f"{x:.4f}", f"{x + 0.1:.4f}"] for n, x in enumerate(LOSSES, 1)]
    assert {(a, b): int(rows) for a, b, rows in opened.grid("confusion")} == CONFUSION
    assert [row[1] for row in opened.grid("compared")] == ["-0.1000", "+0.2000"]
    assert opened.grid("releasegate") == [
        ["loss of 'x'", "0.2", "0.1", "at most", "blocked"],
        ["accuracy of 'x'", "0.8", "0.5", "at least", "passed"],
    ]
    assert opened.grid("quarantine") == [["too long", "2"], ["missing", "1"]]
    assert [row[2:] for row in opened.grid("attention-0")] == [
        ["0.7500", "0.2500", "0.0000"], ["0.5000", "0.5000", "0.0000"],
        ["0.6250", "0.2500", "0.1250"], ["0.5000", "0.3750", "0.1250"],
    ]  # fmt: skip


def test_bars_and_dots_are_where_their_numbers_say(file, open_page):
    opened = open_page(file)
    bars = opened.boxes("lengths-train-")
    counts = {f"lengths-train-{n}": count for n, count in LENGTHS["train"].items()}
    tallest = max(counts.values())
    highest = max(bar["height"] for bar in bars.values())
    assert {n: bar["height"] / highest for n, bar in bars.items()} == pytest.approx(
        {n: count / tallest for n, count in counts.items()}, abs=0.02
    )
    dots = opened.boxes("reliability-bin-")
    steps = [dots[f"reliability-bin-{n + 1}"]["x"] - dots[f"reliability-bin-{n}"]["x"] for n in range(4)]
    assert steps == pytest.approx([steps[0]] * 4, abs=0.5)  # probabilities are a fifth apart
    assert steps[0] > 20
    margin = opened.boxes("compared-margin-live")["compared-margin-live"]["x"]
    live = opened.boxes("compared-difference-live")["compared-difference-live"]["x"]
    other = opened.boxes("compared-difference-majority")["compared-difference-majority"]["x"]
    # -0.1 for the live model, -0.035 for the margin, +0.2 for the other.
    assert (margin - live) / (other - live) == pytest.approx(0.065 / 0.3, abs=0.02)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_anybody_can_read_it(file, open_page, width, scheme):
    opened = open_page(file, width=width, scheme=scheme)
    opened.page.eval_on_selector_all("details", "all => all.forEach(one => one.open = true)")
    assert opened.accessibility() == []
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


def test_it_prints_dark_on_white(file, open_page):
    opened = open_page(file, width=720, scheme="dark", media="print")
    style = "one => [getComputedStyle(one).backgroundColor, getComputedStyle(one).color]"
    assert opened.page.eval_on_selector("body", style) == ["rgb(255, 255, 255)", "rgb(28, 36, 48)"]
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 720


def test_what_a_user_wrote_runs_no_script(tmp_path, open_page):
    opened = open_page(written(tmp_path, symbol=HOSTILE))
    opened.page.wait_for_timeout(200)
    assert opened.page.title().startswith("maskline: Not released")
    assert opened.page.evaluate("document.scripts.length") == 0
    assert opened.page.evaluate("document.images.length") == 0
    assert len(opened.requests) == 1
    assert opened.complaints == []
    assert HOSTILE.split("\x1b")[0] in opened.page.inner_text("#wrong")


def test_history_has_a_dot_for_each_run_and_anybody_can_read_it(tmp_path, open_page):
    when = datetime(2026, 11, 27, tzinfo=UTC)
    entries = [
        HistoryEntry(name=f"run-{n}", kind="run", time=when + timedelta(days=n), decision=decision,
                     metrics={"accuracy": 0.5 + n / 10}, why=HOSTILE)
        for n, decision in enumerate(("released", "not released", "passed"))
    ]  # fmt: skip
    went = [
        LivePeriod(version=n + 1, since=when + timedelta(days=n), until=None, who=HOSTILE, why="w")
        for n in (0, 1)
    ]
    went[0].until = went[1].since
    report.write(history.make(entries, went, tmp_path / "history.html"), tmp_path / "history.html")
    opened = open_page(tmp_path / "history.html")
    dots = opened.boxes("accuracies-run-")
    heights = [dots[f"accuracies-run-{n}"]["y"] for n in range(3)]
    assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2], abs=0.5)
    assert heights[0] > heights[2]
    bars = opened.boxes("live-version-")
    assert bars["live-version-0"]["x"] < bars["live-version-1"]["x"]
    assert opened.page.eval_on_selector_all("#runs tbody tr", "rows => rows.length") == 3
    assert opened.accessibility() == []
    assert opened.complaints == []
    assert opened.page.evaluate("document.scripts.length") == 0


@pytest.mark.slow
def test_report_says_what_was_removed_since(finished, tmp_path, open_page):
    root = tmp_path / "root"
    shutil.copytree(finished.root, root)
    for kind in ("Trainer/history", "Evaluator/evaluation", "StatisticsGen/statistics"):
        shutil.rmtree(root / "artifacts" / kind)
    done = maskline("report", "--root", root, "--out", tmp_path / "report.html")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{tmp_path}/report.html\n", "")
    opened = open_page(tmp_path / "report.html")
    missing = opened.page.eval_on_selector_all(
        "section",
        """all => all.filter(
        one => one.querySelector('.missing')).map(one => one.id)""",
    )
    assert set(missing) >= {"outcome", "data", "training", "evaluation", "wrong"}
    assert "history.json" in opened.page.inner_text("#outcome .missing")
    assert opened.page.inner_text("h1").startswith("Released as version 1")


@pytest.mark.slow
def test_report_that_a_run_made_shows_what_the_run_recorded(finished, open_page):
    [file] = (finished.root / "reports").iterdir()
    assert f"report: {file}\n" in finished.process.stdout
    opened = open_page(file)
    assert opened.requests == [file.as_uri()]
    assert opened.complaints == []
    assert opened.accessibility() == []
    assert opened.page.inner_text("h1") == "Released as version 1."
    history = json.loads(next(finished.root.glob("artifacts/Trainer/history/*/history.json")).read_text())[
        "history"
    ]
    assert [float(row[2]) for row in opened.grid("loss")] == pytest.approx(
        [e["val_loss"] for e in history], abs=1e-4
    )
    metrics = json.loads(
        next(finished.root.glob("artifacts/Evaluator/evaluation/*/metrics.json")).read_text()
    )
    assert (
        sum(int(row[2].replace(",", "")) for row in opened.grid("confusion")) == metrics["slices"][0]["rows"]
    )
    answers = json.loads(next(finished.root.glob("artifacts/Trainer/history/*/answers.json")).read_text())
    shown = {(row[0], *row[1:]) for row in opened.grid("lengths")}
    splits = list(answers["lengths"])
    assert shown == {
        (n, *(f"{answers['lengths'][split].get(n, 0):,}" for split in splits))
        for n in {n for split in splits for n in answers["lengths"][split]}
    }
    # The product in a picture: its mask leaves nothing for padding, and the published one does.
    ours = [row[2:] for row in opened.grid("attention-0") if row[1] == "this model"]
    padded = len(ours[0]) - len(ours)
    assert padded > 0
    assert {cell for row in ours for cell in row[-padded:]} == {"0.0000"}
    published = [row[2:] for row in opened.grid("attention-0") if row[1] == "published"]
    assert all(float(cell) > 0 for row in published for cell in row[-padded:])
