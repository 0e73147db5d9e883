"""What a schedule shows Prometheus. Times are timestamps and not ages: a dead scheduler cannot look fresh."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from maskline.pipeline.notify import outbox
from maskline.pipeline.schedule import disk, incidents, ledger
from maskline.pipeline.schedule.alarms import live_version
from maskline.pipeline.schedule.heart import Heart
from maskline.pipeline.schedule.ledger import RAN, Decision, Tick
from maskline.pipeline.settings.notify import MessageKind

_FRESH = 60.0  # seconds for which the size of the root is not measured again
_WORKED = (Decision.RELEASED, Decision.NOT_BLESSED, Decision.BLOCKED, Decision.NOTHING_NEW,
           Decision.NOT_RETRAINED, Decision.INGESTED)  # fmt: skip
_ALARMS = (
    MessageKind.FAILED, MessageKind.BLOCKED, MessageKind.STALE, MessageKind.WEAK, MessageKind.PAUSED,
    MessageKind.SETTINGS,
)  # fmt: skip


class Ticks:
    """The ledger, read again only where it changed."""

    def __init__(self) -> None:
        self._known: tuple[tuple[int, int], list[Tick]] = ((0, 0), [])
        self._lock = threading.Lock()

    def read(self, root: Path) -> list[Tick]:
        """All ticks, oldest first.

        Raises:
          InputError: the ledger is damaged.
        """
        file = root / ledger.FOLDER / "ticks.jsonl"
        with self._lock:
            stat = file.stat() if file.exists() else None
            version = (stat.st_mtime_ns, stat.st_size) if stat else (0, 0)
            if version != self._known[0]:
                self._known = (version, ledger.ticks(root))
            return self._known[1]


class _Measured(Collector):
    """Reads everything again at each scrape.

    Args:
      heart: of the loop.
      ticks: the ledger.
    """

    def __init__(self, heart: Heart, ticks: Ticks) -> None:
        self._heart, self._ticks = heart, ticks
        self._size = (-_FRESH, 0)

    def describe(self) -> list[Metric]:
        """Nothing: what there is depends on what happened."""
        return []

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client's."""
        heart, root = self._heart, self._heart.settings.root
        past = self._ticks.read(root)
        yield from _of_ticks(past)
        yield from _of_model(heart, past)
        yield _gauge("next_tick_timestamp_seconds", "when the next tick is due", _stamp(heart.due))
        yield _gauge("tick_duration_seconds", "of the last tick, in this scheduler's life", heart.seconds)
        yield _gauge("paused", "1 while the schedule is paused", float(ledger.paused(root) is not None))
        yield _gauge("messages_waiting", "messages that were not sent yet", len(outbox.waiting(root)))
        yield _gauge("disk_bytes", "size of the root", self._bytes(root))
        alarms = GaugeMetricFamily("maskline_alarm", "1 while an incident is open", labels=["kind"])
        known = {incident.kind for incident in incidents.read_state(heart.settings).incidents.values()}
        for kind in _ALARMS:
            alarms.add_metric([kind.value], float(kind in known))
        yield alarms

    def _bytes(self, root: Path) -> int:
        if time.monotonic() - self._size[0] > _FRESH:
            self._size = (time.monotonic(), disk.size(root))
        return self._size[1]


def registry(heart: Heart, ticks: Ticks) -> CollectorRegistry:
    """Everything that `/metrics` shows."""
    found = CollectorRegistry()
    found.register(_Measured(heart, ticks))
    return found


def _of_ticks(past: Sequence[Tick]) -> Iterator[Metric]:
    counted = CounterMetricFamily("maskline_ticks", "ticks by what they decided", labels=["decision"])
    counts = Counter(tick.decision for tick in past)
    for decision in Decision:
        counted.add_metric([decision.value.replace(" ", "_")], counts[decision])
    yield counted
    last: dict[str, tuple[str, Callable[[Tick], bool], Callable[[Tick], float]]] = {
        "last_tick_timestamp_seconds": ("when the last tick ended", lambda _: True, _ended),
        "last_success_timestamp_seconds": (
            "when the last tick ended that did what it should", lambda t: t.decision in _WORKED, _ended,
        ),
        "run_duration_seconds": ("of the last run", lambda t: t.decision in RAN, lambda t: t.seconds),
        "rows": ("that the last run ingested", lambda t: t.rows > 0, lambda t: t.rows),
        "quarantined_ratio": (
            "share of these rows that were set aside", lambda t: t.rows > 0, lambda t: t.quarantined / t.rows,
        ),
        "live_accuracy": (
            "of the live model on the newest span, before it was trained on",
            lambda t: t.asked > 0, lambda t: t.right / t.asked,
        ),
    }  # fmt: skip
    for name, (text, wanted, value) in last.items():
        if found := next((tick for tick in reversed(past) if wanted(tick)), None):
            yield _gauge(name, text, value(found))
    if newest := max((t.span for t in past if t.span and t.decision in _WORKED), default="", key=_natural):
        shown = GaugeMetricFamily("maskline_newest_span_info", "the newest span", labels=["span"])
        shown.add_metric([newest], 1)
        yield shown
        first = next(tick for tick in past if tick.span == newest)
        yield _gauge("newest_span_timestamp_seconds", "when it was first worked on", _ended(first))


def _of_model(heart: Heart, past: Sequence[Tick]) -> Iterator[Metric]:
    if found := live_version(heart.settings.serving_dir, past):
        yield _gauge("live_version", "number of the live version", found.version)
        yield _gauge("live_since_timestamp_seconds", "since when it is live", _stamp(found.since))


def _natural(span: str) -> tuple[int, str]:
    return (len(span.split(" ")[0]), span)  # span 10 comes after span 9


def _ended(tick: Tick) -> float:
    return _stamp(tick.time)


def _stamp(moment: datetime) -> float:
    return moment.timestamp()


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"maskline_{name}", text, value=value)
