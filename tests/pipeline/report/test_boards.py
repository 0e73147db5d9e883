"""Names and folders of the trainings that TensorBoard is shown."""

import pytest

from maskline.pipeline.report import timeline
from maskline.pipeline.report.boards import side_by_side, training_logs
from maskline.pipeline.report.known import HistoryEntry
from maskline.transform.errors import InputError


def entry(name, decision, **values):
    return HistoryEntry(name=name, kind="run", time="2026-11-27T10:00:00Z", decision=decision, **values)


def test_each_training_is_named_once_by_its_run_span_and_decision(config, monkeypatch):
    folders = [config.root / "1", config.root / "2", config.root / "gone"]
    for folder in folders[:2]:
        folder.mkdir()
    runs = [
        (entry("2026-11-27T10-00-00.5", "released", version=1, span="4"), folders[0]),
        (entry("2026-11-27T11-00-00.5", "passed"), folders[0]),  # from the cache
        (entry("2026-11-27T12-00-00.5", "not released"), folders[1]),
        (entry("2026-11-27T13-00-00.5", "not released"), folders[2]),
    ]
    monkeypatch.setattr(timeline, "trainings", lambda _: runs)
    logs = training_logs(config)
    assert [log.name for log in logs] == [
        "2026-11-27T10-00-00 span 4 released 1", "2026-11-27T12-00-00 not released",
    ]  # fmt: skip
    with side_by_side(logs) as folder:
        assert {path.name: path.resolve() for path in folder.iterdir()} == {
            log.name: log.folder.resolve() for log in logs
        }
    assert not folder.exists()


def test_root_without_trainings_is_refused(config, monkeypatch):
    monkeypatch.setattr(timeline, "trainings", lambda _: [])
    with pytest.raises(InputError, match="no training has left logs here"):
        training_logs(config)
