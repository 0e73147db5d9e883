"""Of a long log, the cause and the ten lines that matter."""

import logging
import subprocess
import sys

from maskline.pipeline.failure import CAUSE, LINES, read_failure

NOISE = "2026-11-27 10:00:00,000 INFO tensorflow: nothing to see\n"


def real_traceback(tmp_path, depth=12):
    """What Python really prints: our code calls a library, which calls ours, which fails."""
    library = tmp_path / "lib/python3.11/site-packages/beam.py"
    library.parent.mkdir(parents=True)
    library.write_text("def call(f, n):\n    return call(f, n - 1) if n else f()\n")
    ours = tmp_path / "ours.py"
    ours.write_text(
        f"import sys; sys.path.insert(0, {str(library.parent)!r})\nimport beam\n"
        "def divide():\n    return 1 / 0\n"
        f"def node():\n    return beam.call(divide, {depth})\n"
        "try:\n    node()\nexcept ZeroDivisionError as error:\n"
        "    raise RuntimeError('row 17 cannot be divided\\nsecond line') from error\n"
    )
    return subprocess.run([sys.executable, ours], capture_output=True, text=True).stderr


def test_cause_is_the_line_that_ended_the_run_and_lines_are_our_calls(tmp_path):
    log = tmp_path / "log"
    cause = f"2026-11-27 10:00:01,000{CAUSE}Trainer failed: RuntimeError: row 17 cannot be divided\n"
    log.write_text(NOISE * 5000 + real_traceback(tmp_path) + NOISE * 300 + cause)
    found = read_failure(log)
    assert found.cause == "Trainer failed: RuntimeError: row 17 cannot be divided"
    assert 3 <= len(found.lines) <= LINES
    assert "RuntimeError: row 17 cannot be divided" in found.lines
    assert any("ours.py" in line for line in found.lines)
    assert not any("tensorflow" in line for line in found.lines)


def test_calls_inside_libraries_are_left_out(tmp_path):
    log = tmp_path / "log"
    first = real_traceback(tmp_path).split("\nThe above exception")[0] + "\n"
    log.write_text(first)
    found = read_failure(log)
    assert found.cause == "ZeroDivisionError: division by zero"
    assert not any("site-packages" in line for line in found.lines)
    assert sum("ours.py" in line for line in found.lines) == 3
    assert found.lines[-1] == found.cause


def test_without_a_traceback_the_last_lines_are_told(tmp_path):
    log = tmp_path / "log"
    log.write_text("".join(f"line {n}\n" for n in range(100)) + f"x{CAUSE}Trainer's process was killed\n")
    found = read_failure(log)
    assert found.cause == "Trainer's process was killed"
    assert found.lines == tuple(f"line {n}" for n in range(90, 100))


def test_log_that_is_gone_tells_nothing(tmp_path):
    assert read_failure(tmp_path / "none") == ("", ())


def test_the_run_logs_its_cause_in_this_form(caplog):
    from maskline.pipeline.local import run

    handler = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    with caplog.at_level(logging.ERROR):
        run.logger.error("%s", "Trainer failed")
    assert CAUSE + "Trainer failed" in handler.format(caplog.records[-1])
