"""A folder of its own to read settings in."""

from pathlib import Path

import pytest

from maskline.pipeline.settings.load import load_with_sources
from maskline.pipeline.settings.remembered import remember


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A working folder without settings, and a home of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


COLOURS = """root: runs
data: {path: shards, pattern: 'part-*'}
sequence: {features: [shape, colours], label: answer, vocabulary: words.txt, separator: sep, padding: <pad>}
"""


@pytest.fixture
def remembered(elsewhere):
    """The root of a run with settings of a user's own, seen from another folder."""
    folder = elsewhere / "a folder"
    folder.mkdir()
    (folder / "words.txt").write_text("<pad>\nsep\n-minus\nred\nround\n")
    (folder / "colours.yaml").write_text(COLOURS)
    loaded = load_with_sources(
        Path("a folder/colours.yaml"), ["training.epochs=3", "data.schema=s.pbtxt"], span=None
    )
    loaded.settings.root.mkdir()
    remember(loaded)
    return loaded
