"""Runs side by side: what changed comes first, and each has all of its sections."""

import re

from maskline.pipeline.registry.history import History
from maskline.pipeline.report import comparison

ONE, TWO = "2026-11-27T10-00-00.000000", "2026-11-28T10-00-00.000000"


def test_page_has_both_runs_in_every_section_and_what_changed_before_them(config, record):
    record(ONE)
    record(TWO, gate="passed")
    history = History(config.metadata_file, config.serving_dir, read_only=True)
    page = comparison.make(config, [(history.run(ONE), False), (history.run(TWO), True)])
    names = re.findall(r'<section id="([^"]+)"', page)
    assert names[0] == "changes"
    assert len(names) == 10
    for name in names[1:]:
        part = page.split(f'<section id="{name}"')[1].split("</section>")[0]
        assert [run for run in (ONE, TWO) if f"<h3>{run}</h3>" in part] == [ONE, TWO]
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert "Not recorded for" in page.split('<section id="outcome"')[0]
