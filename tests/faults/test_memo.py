"""Work that was done before, as the matrix reuses it."""

from pathlib import Path
from types import SimpleNamespace

from ml_metadata.proto import metadata_store_pb2 as mlmd

from tests.faults.memo import Memo


def artifact(folder: Path, text: str = "") -> SimpleNamespace:
    folder.mkdir(parents=True)
    if text:
        (folder / "file").write_text(text)
    return SimpleNamespace(uri=str(folder), mlmd_artifact=mlmd.Artifact(id=7))


def test_the_same_bytes_and_parameters_are_worked_on_once(tmp_path):
    worked = []

    def do(_, inputs, outputs, properties):
        [given], [made] = inputs["given"], outputs["made"]
        worked.append(text := Path(given.uri, "file").read_text())
        Path(made.uri, "file").write_text(text.upper() + properties["end"])
        made.mlmd_artifact.custom_properties["rows"].int_value = len(text)

    memo = Memo(tmp_path / "memo")
    executor = memo._before(do, "an executor")

    def work(number: int, text: str, end: str = "!") -> tuple[str, int, int]:
        given, made = artifact(tmp_path / f"given-{number}", text), artifact(tmp_path / f"made-{number}")
        executor(None, {"given": [given]}, {"made": [made]}, {"end": end})
        record = made.mlmd_artifact
        return Path(made.uri, "file").read_text(), record.custom_properties["rows"].int_value, record.id

    assert work(1, "one") == work(2, "one") == ("ONE!", 3, 7)
    assert worked == ["one"]
    assert work(3, "One") == ("ONE!", 3, 7), "a flipped bit"
    assert work(4, "one", end="?") == ("ONE?", 3, 7), "another parameter"
    memo.on = False
    assert work(5, "one") == ("ONE!", 3, 7)
    assert worked == ["one", "One", "one", "one"]
