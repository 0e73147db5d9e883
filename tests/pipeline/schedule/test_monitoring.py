"""The rules and the dashboard in the docs name metrics that `--listen` serves."""

import json
import re
from datetime import UTC, datetime

import yaml
from prometheus_client.parser import text_string_to_metric_families

from maskline.pipeline.schedule import ledger
from maskline.pipeline.schedule.ledger import Decision, Tick
from maskline.pipeline.schedule.metrics import Ticks
from tests.pipeline.schedule.test_web import Site
from tests.support import REPOSITORY

PLACE = REPOSITORY / "docs/monitoring"


def test_rules_and_dashboard_name_what_is_served(tmp_path):
    site = Site(tmp_path / "root")
    site.tick(Decision.RELEASED, rows=5, quarantined=1, seconds=1, scored=1, right=1, asked=2)
    families = list(text_string_to_metric_families(site.get("/metrics")[1]))
    served = {sample.name for family in families for sample in family.samples}
    served |= {"maskline_live_since_timestamp_seconds"}  # there is no live version in this root
    rules = yaml.safe_load((PLACE / "alerts.yaml").read_text())["groups"][0]["rules"]
    panels = json.loads((PLACE / "dashboard.json").read_text())["panels"]
    asked = [rule["expr"] for rule in rules] + [t["expr"] for panel in panels for t in panel["targets"]]
    names = {name for expression in asked for name in re.findall(r"maskline_\w+", expression)}
    assert len(names) > 8
    assert names <= served


def test_ledger_is_read_again_only_where_it_changed(tmp_path):
    site = Site(tmp_path / "root")
    site.tick(Decision.NOTHING_NEW)
    ticks = Ticks()
    first = ticks.read(tmp_path / "root")
    assert ticks.read(tmp_path / "root") is first
    ledger.append(tmp_path / "root", Tick(time=datetime.now(UTC), decision=Decision.PAUSED, why="x"))
    assert len(ticks.read(tmp_path / "root")) == 2
