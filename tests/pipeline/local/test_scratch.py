"""The temporary folder of a run: one, under the root, and gone afterwards."""

import os
import signal
import tempfile
from pathlib import Path

import pytest

from maskline.pipeline.local import scratch
from maskline.transform.errors import InputError

RUN, EARLIER = "2026-11-27T10-00-00.000001", "2026-11-26T10-00-00.000001"


def test_all_temporary_files_go_there_and_go_with_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", "/elsewhere")
    with scratch.folder(tmp_path, RUN) as folder:
        assert folder == tmp_path / "tmp" / RUN
        assert Path(tempfile.mkdtemp()).parent == folder
        assert os.environ["TMPDIR"] == str(folder)
    assert os.environ["TMPDIR"] == "/elsewhere"
    assert Path(tempfile.gettempdir()) != folder
    assert list(tmp_path.iterdir()) == []


def test_it_goes_after_an_error_too(tmp_path):
    with pytest.raises(FileNotFoundError), scratch.folder(tmp_path, RUN) as folder:
        (folder / "none" / "rows").write_text("data of the user")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_goes_with_the_next(tmp_path):
    child = os.fork()
    if not child:
        with scratch.folder(tmp_path, EARLIER) as folder:
            (folder / "rows").write_text("data of the user")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert [path.name for path in scratch.left_behind(tmp_path)] == [EARLIER]
    with scratch.folder(tmp_path, RUN):
        assert [path.name for path in (tmp_path / "tmp").iterdir()] == [RUN]
    assert scratch.left_behind(tmp_path) == []


def test_what_is_not_ours_stays(tmp_path):
    """A root may be a folder that had a `tmp` before."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / "thesis.tex").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "tmp" / EARLIER).symlink_to(tmp_path / "elsewhere")
    with scratch.folder(tmp_path, RUN):
        pass
    assert {path.name for path in (tmp_path / "tmp").iterdir()} == {"thesis.tex", EARLIER}
    assert (tmp_path / "elsewhere").exists()


def test_a_file_in_its_place_is_named(tmp_path):
    (tmp_path / "tmp").touch()
    with pytest.raises(InputError, match=f"{tmp_path}/tmp/{RUN}: cannot be written"):
        scratch.folder(tmp_path, RUN).__enter__()
