"""A folder of its own to read settings in."""

import pytest


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A working folder without settings, and a home of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path
