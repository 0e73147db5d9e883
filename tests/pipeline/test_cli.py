"""The command line where no pipeline runs: help, mistakes, and what stays unloaded."""

import subprocess
import sys
from importlib import metadata

import pytest

from tests.support import GOOD, REPOSITORY, environment, maskline, write_shard


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from maskline.pipeline.cli import cli; "
        "cli(['-h'], standalone_mode=False); print(*sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY).stdout
    for command in ("data", "kubeflow", "run", "predict", "show"):
        assert f"\n  {command} " in out
    loaded = set(out.splitlines()[-1].split())
    assert not loaded & {"tensorflow", "tfx", "keras", "apache_beam", "numpy", "pydantic", "rich"}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("run", "--data", "nowhere"), "nowhere: no such data directory"),
        (("run", "--data", "empty"), "no shard matches '*.tfrecord*' (data.pattern); it is empty"),
        (("run", "--set", "training.epocs=1"), "training.epocs: no such setting; did you mean epochs?"),
        (("run", "--set", "training.epochs=x"), "training.epochs: 'x' is not allowed"),
        (("run", "--set", "sequence.label=op"), "sequence.label: 'op' is also an input in features"),
        (("run", "--config", "none.yaml"), "none.yaml: cannot be read"),
        (("run", "--data", "good", "--root", "good/a.tfrecords"), "a.tfrecords: is not a directory"),
        (("run", "--data", "good", "--root", "corrupt"), "cannot be written (file is not a database)"),
        (("run", "--data", "good", "--root", "blocked"), "cannot be written (unable to open database"),
        (("predict", "x=1:x"), "no model was released yet"),
        (("show",), "no run yet"),
        (("show", "--root", ""), "--root: it is empty; a path is needed"),
        (("show", "--root", "good/a.tfrecords"), "a.tfrecords: is not a directory; give the root of a run"),
        (("run", "--data", ""), "--data: it is empty; a path is needed"),
        (("run", "--data=~nosuchuser/x"), "no such home directory"),
        (("data", "--records", "99999999999999999999"), "is not in the range 1<=x<=1000000000"),
        (("run", "--frobnicate"), "No such option"),
        (("data", "--out", "good"), "not empty"),
    ],
)
def test_mistake_is_one_line_and_exit_2(tmp_path, arguments, problem):
    (tmp_path / "empty").mkdir()
    write_shard(tmp_path / "good/a.tfrecords", [GOOD])
    (tmp_path / "corrupt").mkdir()
    (tmp_path / "corrupt/metadata.sqlite").write_text("this is no database" * 100)
    (tmp_path / "blocked/metadata.sqlite").mkdir(parents=True)
    code = (
        f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); from maskline.pipeline.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2, done
    assert problem in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    if not any(words in problem for words in ("option", "no such home", "range")):  # click prints usage too
        assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "maskline-root/serving").exists()


def test_data_command_writes_what_was_asked(tmp_path):
    done = maskline("data", "--out", tmp_path / "d", "--shards", 2, "--records", 3, "--max-value", 5)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"2 shards of 3 records in {tmp_path / 'd'}\n"
    assert len(list((tmp_path / "d").iterdir())) == 2


def test_help_is_a_command_too():
    assert maskline("help").stdout == maskline("--help").stdout
    assert maskline("help", "data", "stats").stdout == maskline("data", "stats", "--help").stdout
    wrong = maskline("help", "data", "stars")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "No such command 'stars'" in wrong.stderr


@pytest.mark.parametrize("command", [(), ("data",), ("schema",), ("kubeflow",)])
def test_lists_of_commands_are_not_cut_off(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    shown = maskline(*command, "--help").stdout
    assert "..." not in shown.split("Commands:")[1]


def test_tab_completion_offers_commands_and_options():
    def offered(*words: str) -> list[str]:
        asked = {"_MASKLINE_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(words),
                 "COMP_CWORD": str(len(words) - 1)}  # fmt: skip
        code = "import sys; sys.argv[0] = 'maskline'; from maskline.pipeline.cli import main; main()"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY,
                              env=environment() | asked)  # fmt: skip
        return [line.split(",")[1] for line in done.stdout.splitlines()]

    assert offered("maskline", "ro") == ["rollback"]
    assert "--epochs" not in offered("maskline", "run", "--")
    assert {"--config", "--data", "--root", "--set"} <= set(offered("maskline", "run", "--"))


def test_version_is_known_without_an_installed_package():
    """As in the image, which holds the source as it is."""
    installed = metadata.version("maskline")
    program = (
        "from importlib import metadata; given = metadata.distribution\n"
        "def hide(name):\n"
        "    if name == 'maskline': raise metadata.PackageNotFoundError(name)\n"
        "    return given(name)\n"
        "metadata.distribution = hide\n"
        "from maskline.pipeline.cli import cli; cli(['--version'], prog_name='maskline')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=REPOSITORY)
    assert done.stdout == f"maskline, version {installed}\n", done.stderr
