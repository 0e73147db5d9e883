"""`maskline predict` on whole files and standard input, with a real model and a real Beam."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from maskline.components.ingest.quarantine import QuarantinedRow
from maskline.components.ingest.shards import read_shard
from maskline.pipeline.errors import BusyError
from maskline.pipeline.local import lock
from maskline.pipeline.predict import batch
from maskline.pipeline.predict.batch import PredictOptions
from maskline.pipeline.predict.progress import AnswerProgress
from maskline.pipeline.predict.served import TEXT, Signature
from maskline.pipeline.settings.remembered import of_root
from maskline.transform.errors import InputError
from tests.support import GOOD, command, environment, example, maskline, tfrecord, write_shard

pytestmark = pytest.mark.slow
TEXTS = ["x=-12,y=24:y+x", "x=7,y=3:x*y", "x=1:x", "x=99,y=-5:x-y"]


@pytest.fixture(scope="module")
def config(finished):
    return of_root(None, (), finished.root).settings


def predict(config, data, out, **options):
    return batch.predict(config, PredictOptions(data=data, out=out, **options), AnswerProgress())


def answers_in(out):
    """The answers in a folder, file by file."""
    return [
        json.loads(line)
        for path in sorted(out.glob("answers-*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]


def everything_in(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_c_library_answers_as_tensorflow_does(finished):
    import tensorflow as tf

    served = tf.saved_model.load(str(finished.served)).signatures["serving_text"]
    expected = served(tf.constant(TEXTS))
    answers = Signature(finished.served, TEXT, logits=True).ask([text.encode() for text in TEXTS])
    assert answers.symbols == [symbol.decode() for symbol in expected["symbol"].numpy()]
    np.testing.assert_allclose(answers.probabilities, expected["probability"].numpy(), rtol=1e-5)
    np.testing.assert_allclose(answers.logits, expected["logits"].numpy(), rtol=1e-4, atol=1e-5)


def test_an_answer_that_is_not_sure_enough_is_not_given(finished):
    texts = [text.encode() for text in TEXTS]
    every = Signature(finished.served, TEXT).ask(texts)
    limit = float(sorted(every.probabilities)[len(texts) // 2])
    some = Signature(finished.served, TEXT, abstain_below=limit).ask(texts)
    np.testing.assert_array_equal(some.probabilities, every.probabilities)
    sure = every.probabilities >= np.float32(limit)
    assert 0 < sure.sum() < len(texts)
    assert some.symbols == [s if is_sure else "" for s, is_sure in zip(every.symbols, sure, strict=True)]


def test_memory_does_not_grow_with_the_batches(finished):
    """Strings and tensors are given back: a few megabytes would be left of each thousand batches."""
    signature = Signature(finished.served, TEXT, logits=True)
    values = [text.encode() for text in TEXTS] * 128

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    for _ in range(20):
        signature.ask(values)
    before = resident()
    for _ in range(60):
        signature.ask(values)
    assert resident() - before < 1 << 20  # the logits alone of 60 batches are 2.5 MB


@pytest.mark.parametrize("kind", ["jsonl", "tfrecord", "parquet"])
def test_files_of_every_kind_give_the_same_answers(config, tmp_path, kind):
    """One row as text, as JSON and as a tf.Example without a label; bad rows beside each."""
    data = tmp_path / "data"
    symbols = {symbol: number for number, symbol in enumerate(config.sequence.vocabulary)}
    features = [[[symbols[c] for c in part] for part in text.split(":")] for text in TEXTS]
    records = [example(defs=defs, op=op, note=[5]) for defs, op in features]
    data.mkdir()
    (data / "a.tfrecord").write_bytes(tfrecord([*records[:2], b"no example", *records[2:], example(op=[3])]))
    (data / "b.txt").write_text("\n".join([*TEXTS[:2], "x=Q:x", *TEXTS[2:]]))
    (data / "c.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS) + "{}\n")
    out = tmp_path / "out"
    report = predict(config, data, out, format=kind)
    assert (report.rows_in, report.answered) == (16, 12)
    assert report.quarantined == {
        "missing": 2, "not a tf.Example": 1, "outside vocabulary": 1,
    }  # fmt: skip
    assert sorted(p.name for p in (out / "quarantine").iterdir()) == [
        f"rows-0000{number}-of-00003.tfrecord.gz" for number in range(3)
    ]
    bad = [
        QuarantinedRow.unpack(record.data)
        for path in sorted((out / "quarantine").iterdir())
        for record in read_shard(str(path))
    ]
    assert [(Path(row.file).name, row.record, row.data) for row in bad] == [
        ("a.tfrecord", 2, b"no example"), ("a.tfrecord", 5, example(op=[3])), ("b.txt", 2, b"x=Q:x"),
        ("c.jsonl", 4, b"{}"),
    ]  # fmt: skip
    if kind == "jsonl":
        found = answers_in(out)
        assert [(row["file"], row["record"]) for row in found] == [
            *(("a.tfrecord", n) for n in (0, 1, 3, 4)), *(("b.txt", n) for n in (0, 1, 3, 4)),
            *(("c.jsonl", n) for n in range(4)),
        ]  # fmt: skip
        alone = maskline("predict", "--root", config.root, *TEXTS).stdout.splitlines()
        assert [
            f"{t}\t{row['answer']}\t{row['probability']:.3f}" for t, row in zip(TEXTS * 3, found, strict=True)
        ] == alone * 3
        assert {row["version"] for row in found} == {1}
        assert {row["identity"] for row in found} == {report.identity}
    if kind == "parquet":
        assert pq.read_table(out / "answers-00001-of-00003.parquet").num_rows == 4
    if kind == "tfrecord":
        assert len(list(read_shard(str(out / "answers-00001-of-00003.tfrecord")))) == 4


def test_the_users_key_goes_with_each_answer(config, tmp_path):
    shard = write_shard(tmp_path / "a.tfrecord", [{**GOOD, "id": [77]}, GOOD])
    report = predict(config, shard, tmp_path / "out", key="id", logits=True)
    [row] = answers_in(tmp_path / "out")
    assert (row["record"], row["key"]) == (0, "77")
    assert len(row["logits"]) == config.sequence.size
    assert [bad.reason for bad in report.examples] == [
        "has no text or integer in its field 'id', which is the key"
    ]


def test_a_killed_run_that_is_repeated_gives_the_same_files(config, tmp_path):
    rows = tmp_path / "rows.txt"
    rows.write_text(
        "".join(f"x={n % 97},y={n % 89}:x+y\n" + "x=Q:x\n" * (n % 500 == 0) for n in range(20_000))
    )
    arguments = ("predict", "--root", config.root, "--data", rows, "--out")
    partial, out = tmp_path / ".out.partial", tmp_path / "out"
    killed = subprocess.Popen(command(*arguments, out), stderr=subprocess.DEVNULL, env=environment())
    while not (partial / "progress" / "0").exists():
        assert killed.poll() is None
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert partial.is_dir()
    assert not out.exists()
    undisturbed = tmp_path / "undisturbed"
    for folder in (out, undisturbed):
        predict(config, rows, folder)
    assert everything_in(out) == everything_in(undisturbed)
    assert {path.name for path in tmp_path.iterdir()} == {"rows.txt", "out", "undisturbed"}
    assert sorted(str(path) for path in everything_in(out)) == [
        "answers-00000-of-00001.jsonl", "quarantine/rows-00000-of-00001.tfrecord.gz", "report.json",
    ]  # fmt: skip
    records = [row["record"] for row in answers_in(out)]
    assert len(records) == 20_000
    assert records == sorted(records)


def test_a_damaged_file_ends_it_or_is_answered_up_to_there(config, tmp_path):
    shard = write_shard(tmp_path / "a.tfrecord", [GOOD] * 5)
    shard.write_bytes(shard.read_bytes()[:-3])
    with pytest.raises(InputError, match=r"a.tfrecord: is truncated; 4 whole records were read, up to byte"):
        predict(config, shard, tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"a.tfrecord"}
    tolerant = config.model_copy(update={"data": config.data.model_copy(update={"on_corrupt": "quarantine"})})
    report = predict(tolerant, shard, tmp_path / "out")
    assert report.answered == 4
    [broken] = report.corrupt
    assert broken.file == str(shard)
    assert broken.offset > 0


def test_wrong_input_is_one_line_and_leaves_nothing(config, finished, tmp_path):
    data = tmp_path / "rows.txt"
    data.write_text("x=1:x\n")
    (tmp_path / "there").mkdir()
    (tmp_path / "rows.bin").write_bytes(b"\0\1\2")
    before = set(tmp_path.rglob("*"))
    out = tmp_path / "out"
    for changed, problem in (
        ({"out": tmp_path / "there"}, r"there: exists; give a new folder for the answers"),
        ({"version": 9}, r"there is no version 9; there is 1$"),
        ({"data": tmp_path / "rows.bin"}, r"rows.bin: is neither TFRecord nor text in UTF-8"),
        ({"data": tmp_path / "nothing.txt"}, r"nothing.txt: no such data directory"),
        ({"key": "id"}, r"--key id: lines of text have no fields"),
    ):
        with pytest.raises(InputError, match=problem):
            batch.predict(config, PredictOptions(**{"data": data, "out": out} | changed), AnswerProgress())
    assert set(tmp_path.rglob("*")) == before
    with pytest.raises(InputError, match=r"the model has no signature other; it has serving_default, "):
        Signature(finished.served, "other")
    broken = tmp_path / "model"
    broken.mkdir()
    (broken / "saved_model.pb").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"model: TensorFlow cannot load this model: "):
        Signature(broken, TEXT)
    done = maskline("predict", "--root", config.root, "--data", data, "--out", tmp_path / "there")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)


def test_two_at_once_do_not_mix(config, tmp_path):
    data = tmp_path / "rows.txt"
    data.write_text("x=1:x\n")
    busy = rf"\.out\.partial: busy, held by process {os.getpid()};"
    with lock.hold(tmp_path / ".out.partial"), pytest.raises(BusyError, match=busy):
        predict(config, data, tmp_path / "out")


def test_standard_input_is_answered_as_it_comes(config):
    asked = subprocess.Popen(
        command("predict", "--root", config.root, "-"), text=True, bufsize=1, env=environment(),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    for text in TEXTS[:2]:
        asked.stdin.write(text + "\n")
        assert asked.stdout.readline().startswith(f"{text}\t")  # before the next line was written
    rest, errors = asked.communicate("x=Q:x\n\nx=1:x")
    assert rest.startswith("x=1:x\t")
    assert [line[:18] for line in errors.splitlines()] == ["maskline: line 3: ", "maskline: line 4: "]
    assert asked.returncode == 2


def test_a_terminal_shows_progress(config, tmp_path):
    data = tmp_path / "rows.txt"
    data.write_text("x=1:x\n" * 30_000)
    ours, theirs = pty.openpty()
    asked = subprocess.Popen(
        command("predict", "--root", config.root, "--data", data, "--out", tmp_path / "out"),
        stdout=subprocess.DEVNULL, stderr=theirs, env=environment() | {"TERM": "xterm", "COLUMNS": "120"},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 1 << 16):
            shown += chunk
    except OSError:  # what Linux gives at the end of a terminal
        pass
    assert asked.wait() == 0
    assert b" of 1 files, " in shown
    assert b"rows/s" in shown


def test_it_takes_no_tensorflow(finished):
    """What makes `predict TEXT` quick: neither TensorFlow's package nor Beam is imported."""
    code = (
        "import sys; from pathlib import Path; from maskline.pipeline.predict.single import answer_texts; "
        f"answer_texts(Path({str(finished.root / 'serving' / 'maskline')!r}), ['x=1:x']); "
        "sys.exit(bool({'tensorflow', 'keras', 'apache_beam', 'pyarrow'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], env=environment()).returncode == 0
