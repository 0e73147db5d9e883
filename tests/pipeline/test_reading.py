"""How far the reading of rows is, in words and on a terminal. No TFX."""

import io

import pytest
import rich.console

from maskline.pipeline.console import Console
from maskline.pipeline.reading import Reading


def test_speed_is_that_since_the_first_count():
    reading = Reading()
    reading.hear(4_000, 10.0)
    assert reading.words() == "4,000 rows"
    reading.hear(24_000, 12.0)
    assert reading.words() == "24,000 rows, 10,000 rows/s"


@pytest.mark.parametrize("width", [40, 80])
def test_terminal_has_rows_and_a_bar_where_there_is_room(config, width):
    console, screen = Console(config), io.StringIO()
    console._rich = rich.console.Console(file=screen, force_terminal=True, width=width, color_system=None)
    with console._start_live() as console._live:
        console.began("ExampleGen")
        console.counted("ExampleGen", 4_000)
        console.tick()
        at_work = screen.getvalue()
        console.ended("ExampleGen", 2.0, ok=True)
        ended = len(screen.getvalue())
        console.began("ExampleGen")
        console.tick()
        again = screen.getvalue()[ended:]
    assert ("━" in at_work) is (width == 80)
    assert "4,000" in at_work
    assert "ExampleGen" in again
    assert "4,000" not in again


def test_pipe_has_no_line_for_each_count(config, capsys):
    console = Console(config)
    console.began("ExampleGen")
    console.counted("ExampleGen", 4_000)
    console.ended("ExampleGen", 2.0, ok=True)
    assert capsys.readouterr().out.splitlines() == ["  ExampleGen …", "✓ ExampleGen            2.0 s"]
