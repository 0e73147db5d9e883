"""What `--listen` serves, over a real connection: read by Prometheus' own parser, and shown without harm."""

import http.client
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from maskline.pipeline.schedule import incidents, ledger, web
from maskline.pipeline.schedule.heart import Heart
from maskline.pipeline.schedule.ledger import Decision, Tick
from maskline.pipeline.settings.load import load
from maskline.transform.errors import InputError

START = datetime(2026, 11, 27, 3, tzinfo=UTC)


class Site:
    def __init__(self, root):
        self.now = START
        self.heart = Heart(load(None, ["notify.command=[cat]"], root=root), START + timedelta(hours=1))
        self.said = []

    def get(self, path, method="GET"):
        with web.serving(("127.0.0.1", 0), self.heart, lambda: self.now, self.said.append) as port:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def metrics(self):
        status, text = self.get("/metrics")
        assert status == 200
        samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
        return {(s.name, *s.labels.values()): s.value for s in samples}

    def tick(self, decision, **facts):
        facts = {"why": "so it is", "span": "7", "depends_on": "a"} | facts
        ledger.append(self.heart.settings.root, Tick(time=self.now, decision=decision, **facts))


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path / "root")


def test_metrics_are_timestamps_and_counts(site):
    site.tick(Decision.RELEASED, rows=500, quarantined=5, seconds=61.5, scored=1, right=30, asked=40)
    site.now += timedelta(hours=12)
    site.tick(Decision.FAILED, span="10", status=1)
    found = site.metrics()
    assert found["maskline_last_tick_timestamp_seconds",] == (START + timedelta(hours=12)).timestamp()
    assert found["maskline_last_success_timestamp_seconds",] == START.timestamp()
    assert found["maskline_next_tick_timestamp_seconds",] == (START + timedelta(hours=1)).timestamp()
    assert found["maskline_ticks_total", "released"] == 1
    assert found["maskline_ticks_total", "failed"] == 1
    assert found["maskline_ticks_total", "not_blessed"] == 0
    assert found["maskline_rows",] == 500
    assert found["maskline_quarantined_ratio",] == 0.01
    assert found["maskline_live_accuracy",] == 0.75
    assert found["maskline_newest_span_info", "7"] == 1
    assert found["maskline_disk_bytes",] > 100
    assert found["maskline_paused",] == 0


def test_open_incident_is_a_metric_and_stands_on_the_page(site):
    site.tick(Decision.FAILED, why="no <b>space</b>", status=1)
    incidents.update(site.heart.settings, ledger.ticks(site.heart.settings.root), site.now)
    assert site.metrics()["maskline_alarm", "failed"] == 1
    assert site.metrics()["maskline_alarm", "stale"] == 0
    assert site.metrics()["maskline_messages_waiting",] == 1
    status, text = site.get("/")
    assert status == 200
    assert "no &lt;b&gt;space&lt;/b&gt;" in text
    assert "<b>" not in text
    assert "failed: span 7: no" in text


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({}, 200, "ok"),
        ({"due": START - timedelta(minutes=1)}, 200, "ok"),
        ({"due": START - timedelta(minutes=3)}, 503, "a tick was due at 2026-11-27 02:57:00 UTC"),
        ({"due": START - timedelta(days=1), "ticking": START - timedelta(hours=20)}, 200, "ok"),
        ({"ticking": START - timedelta(days=40)}, 503, "a tick has worked since 2026-10-18"),
    ],
)
def test_health_is_good_only_while_ticks_happen_in_time(site, change, status, words):
    for name, value in change.items():
        setattr(site.heart, name, value)
    found = site.get("/healthz")
    assert found[0] == status
    assert found[1].startswith(words)


def test_readers_change_nothing_and_find_what_there_is(site):
    assert site.get("/", "HEAD") == (200, "")
    assert site.get("/", "POST")[0] == 501
    assert site.get("/no")[0] == 404
    file = site.heart.settings.root / "schedule/ticks.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text("nonsense\n")
    assert site.get("/metrics")[0] == 500
    assert "is damaged" in site.get("/")[1]


@pytest.mark.parametrize("text", ["9100", ":9100", "localhost:", "localhost:x", "localhost:99999", ""])
def test_address_that_is_none_is_refused(text):
    with pytest.raises(InputError, match=r"^--listen: .*127\.0\.0\.1:9100 is one$"):
        web.read_address(text)


def test_address_that_is_taken_is_refused(site):
    assert web.read_address("[::1]:9100") == ("::1", 9100)
    with (
        web.serving(("127.0.0.1", 0), site.heart, lambda: site.now, site.said.append) as port,
        pytest.raises(InputError, match=rf"^--listen: 127\.0\.0\.1:{port}: Address already in use$"),
        web.serving(("127.0.0.1", port), site.heart, lambda: site.now, site.said.append),
    ):
        pass
