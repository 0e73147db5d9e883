"""What is looked at before TFX is loaded: shards, schema, source, lock."""

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from pydantic import ValidationError

from maskline.pipeline import fingerprint
from maskline.pipeline.errors import BusyError
from maskline.pipeline.local import lock
from maskline.pipeline.local.inputs import find_data, read_schema
from maskline.pipeline.settings.sections import DataSettings
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec


def test_source_fingerprint_sees_files_rooms_and_lock(tmp_path, monkeypatch):
    class Room:
        def __init__(self, name):
            (tmp_path / name).mkdir()
            self.__file__ = str(tmp_path / name / "__init__.py")

    rooms = {name: Room(name) for name in ("transform", "trainer", "pipeline")}
    (tmp_path / "locks").mkdir()
    monkeypatch.setattr(fingerprint, "ROOMS", rooms)
    monkeypatch.setattr(fingerprint, "pipeline", rooms["pipeline"])
    seen = set()
    for change in (
        "transform/a.py",
        "transform/a.pbtxt",
        "trainer/a.py",
        f"locks/{fingerprint.chosen_stack()}.txt",
    ):
        seen.add(fingerprint.SourceCode().of("transform", "trainer"))
        (tmp_path / change).write_text(change)
    seen.add(fingerprint.SourceCode().of("transform", "trainer"))
    assert len(seen) == 5
    before = fingerprint.SourceCode().of("transform")
    (tmp_path / "trainer/a.py").write_text("other")
    (tmp_path / "transform/__pycache__").mkdir()
    (tmp_path / "transform/__pycache__/a.pyc").write_text("bytecode")
    assert fingerprint.SourceCode().of("transform") == before


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("feature {", "is not a schema"),
        ("", "sequence disagree: it has no feature 'defs'; fix it, or leave out data.schema"),
        (None, "data.schema: .*s.pbtxt: there is no such file"),
    ],
)
def test_bad_schema_is_named(tmp_path, text, problem):
    file = tmp_path / "s.pbtxt"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputError, match=problem):
        read_schema(file, SequenceSpec())


def test_a_device_is_no_schema():
    with pytest.raises(InputError, match=r"data\.schema: /dev/zero: is not a regular file; give a text file"):
        read_schema(Path("/dev/zero"), SequenceSpec())


def test_schema_follows_from_the_settings():
    text = read_schema(None, SequenceSpec(features=("colour",), label="shape", vocabulary=(" ", ":", "x")))
    assert 'name: "colour"' in text
    assert 'name: "shape"' in text


def test_root_has_one_run_at_a_time(tmp_path):
    code = (
        "import sys; from maskline.pipeline.local import lock; from pathlib import Path\n"
        "with lock.hold(Path(sys.argv[1])): "
    )
    holding = subprocess.Popen(
        [sys.executable, "-c", code + "print(1, flush=True); sys.stdin.read()", str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert holding.stdout.readline()
        assert lock.holder(tmp_path) == holding.pid
        assert lock.holder_of(tmp_path / "lock") == holding.pid
        words = f"busy, held by process {holding.pid}"
        with pytest.raises(BusyError, match=words), lock.hold(tmp_path, patience=0):
            pass
    finally:
        holding.kill()
        holding.communicate()
    assert lock.holder(tmp_path) is None
    with lock.hold(tmp_path):
        assert lock.holder(tmp_path) == os.getpid()


def test_a_look_at_the_lock_does_not_turn_a_run_away(tmp_path):
    looker = open(tmp_path / "lock", "a+")  # noqa: SIM115, the timer closes it
    fcntl.flock(looker, fcntl.LOCK_SH)
    threading.Timer(0.1, looker.close).start()
    with lock.hold(tmp_path):
        assert lock.holder(tmp_path) == os.getpid()


def test_root_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "root").touch()
    with pytest.raises(InputError, match="root: cannot be written"), lock.hold(tmp_path / "root"):
        pass


def exports(folder, *names):
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "a.tfrecord").touch()
    return folder / "span-{SPAN}"


def test_spans_are_pinned_and_strays_are_told(tmp_path):
    path = exports(tmp_path, "span-1", "span-2", "span-tmp")
    [newest], notes = find_data(DataSettings(path=path, unchanged_for=0))
    assert (newest.name, newest.data.span) == ("2", 2)
    assert notes == [f"{tmp_path}/span-tmp: is beside the spans but is not a span; ignored"]
    [first], _ = find_data(DataSettings(path=path, unchanged_for=0, span=1))
    assert first.listing.digest != newest.listing.digest
    assert [first.listing.span, newest.listing.span] == [1, 2]


def test_a_span_that_is_left_out_is_told(tmp_path):
    path = exports(tmp_path, "span-1", "span-2")
    (tmp_path / "span-1/_SUCCESS").touch()
    [newest], notes = find_data(DataSettings(path=path, success_marker="_SUCCESS"))
    assert newest.name == "1"
    assert notes == [f"{tmp_path}/span-2: is skipped, because it is not complete: it has no _SUCCESS"]


def test_a_window_is_the_last_spans_up_to_the_one_asked_for(tmp_path):
    path = exports(tmp_path, "span-1", "span-2", "span-4")
    data = DataSettings(path=path, unchanged_for=0, window=2)
    assert [span.data.span for span in find_data(data)[0]] == [2, 4]
    before = data.model_copy(update={"span": 2})
    assert [span.data.span for span in find_data(before)[0]] == [1, 2]
    first = data.model_copy(update={"span": 1})
    with pytest.raises(InputError, match=r"asks for 2 spans; complete spans: 1; wait for more, or set"):
        find_data(first)
    assert [s.name for s in find_data(first.model_copy(update={"allow_fewer": True}))[0]] == ["1"]


def test_hidden_names_are_counted_in_one_line(tmp_path):
    path = exports(tmp_path, "span-1")
    (tmp_path / "span-1/.a.tfrecord.Xq81z").touch()
    _, notes = find_data(DataSettings(path=path, unchanged_for=0))
    assert notes == [f"{tmp_path}/span-1: 1 names that begin with '.' or '_' are not shards"]
    assert find_data(DataSettings(path=tmp_path / "span-1"))[1] == notes


def test_a_link_that_leads_nowhere_matters_only_in_the_span_that_is_asked_for(tmp_path):
    path = exports(tmp_path, "span-1", "span-2")
    (tmp_path / "span-1/b.tfrecord").symlink_to("annex/b")
    data = DataSettings(path=path, unchanged_for=0)
    assert [span.name for span in find_data(data)[0]] == ["2"]
    with pytest.raises(InputError, match=r"span-1/b.tfrecord: is a link to 'annex/b', which is not there"):
        find_data(data.model_copy(update={"span": 1}))


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"span": 3}, r"span: needs a data.path with \{SPAN\}"),
        ({"window": 2}, r"window: needs a data.path with \{SPAN\}"),
        ({"path": "a/{SPAN}/{SPAN}"}, "a placeholder stands twice"),
    ],
)
def test_settings_of_spans_that_disagree_are_refused(values, problem):
    with pytest.raises(ValidationError, match=problem):
        DataSettings.model_validate(values)
