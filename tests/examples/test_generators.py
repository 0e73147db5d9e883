"""Each example: its generator, `maskline import` and its settings fit together."""

import io
import runpy
import shutil
import sys
import tarfile
import zipfile
from itertools import pairwise

import pytest
from click.testing import CliRunner

from maskline.pipeline.cli import cli
from maskline.pipeline.data.stats import measure_shards, shards_at
from maskline.pipeline.settings.load import load
from tests.support import REPOSITORY

EXAMPLES = {"intents": (3000, 8, 0.310), "sessions": (6000, 2, 0.884), "strings": (3000, 5, 0.204)}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_commands_at_the_head_of_the_settings_make_data_that_fit_them(name, tmp_path, monkeypatch):
    for file in ("generate.py", "maskline.yaml"):
        shutil.copy(REPOSITORY / "examples" / name / file, tmp_path)
    monkeypatch.chdir(tmp_path)
    first, *lines = (tmp_path / "maskline.yaml").read_text().splitlines()
    assert 11 <= len(lines) <= 20
    generate, bring_in = (part.split() for part in first.removeprefix("# ").split(";"))
    monkeypatch.setattr(sys, "argv", generate[1:])
    runpy.run_path(generate[1], run_name="__main__")
    result = CliRunner().invoke(cli, bring_in[1:])
    assert result.exit_code == 0, result.output

    config = load(tmp_path / "maskline.yaml")
    stats = measure_shards(shards_at(config.data.path, config.data), config.sequence)
    rows, answers, most = EXAMPLES[name]
    assert (stats.rows, stats.unreadable, stats.lengths.total()) == (rows, 0, rows)
    assert max(stats.lengths) == config.sequence.length
    label = stats.features[config.sequence.label]
    assert len(label.ids) == answers
    assert max(label.ids.values()) / rows == pytest.approx(most, abs=5e-4)
    assert set(label.ids) == set(range(len(config.sequence.answers)))
    assert all(
        ids < config.sequence.size for name in config.sequence.features for ids in stats.features[name].ids
    )
    assert not set(config.sequence.answers) & set(config.sequence.vocabulary) or name == "intents"
    [by_length] = config.slices
    ends = (0, *by_length.lengths, config.sequence.length)
    shares = [sum(stats.lengths[n] for n in range(a + 1, b + 1)) / rows for a, b in pairwise(ends)]
    assert min(shares) > 0.1  # of the rows, or a slice could not block a release


# As in the package that the example names: id, mean rating and sentence, in the encoding of Windows.
RATINGS = "1\t-1.25\tA Dull \x93film\x94.\r\n2\t0.0\tneither\r\n3\t2.5\tco\xadoperative caf\xe9\r\n"


def test_reviews_are_read_from_the_package_that_the_settings_name(tmp_path, monkeypatch):
    for file in ("generate.py", "maskline.yaml"):
        shutil.copy(REPOSITORY / "examples/reviews" / file, tmp_path)
    monkeypatch.chdir(tmp_path)
    download, generate, bring_in = (tmp_path / "maskline.yaml").read_text().splitlines()[0].split(";")
    name, version = download.split()[-1].split("==")
    inner, ratings = io.BytesIO(), RATINGS.encode("latin-1")
    with tarfile.open(fileobj=inner, mode="w:gz") as archive:
        info = tarfile.TarInfo("hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt")
        info.size = len(ratings)
        archive.addfile(info, io.BytesIO(ratings))
    with zipfile.ZipFile(f"{name}-{version}.zip", "w") as package:
        resources = f"{name}-{version}/additional_resources"
        package.writestr(f"{resources}/hutto_ICWSM_2014.tar.gz", inner.getvalue())
    monkeypatch.setattr(sys, "argv", generate.split()[1:])
    runpy.run_path("generate.py", run_name="__main__")
    assert (tmp_path / "data.csv").read_text(encoding="utf-8").splitlines() == [
        "sentence,feeling",
        "a dull “film”.,negative",
        "neither,negative",
        "co\xadoperative café,positive",
    ]
    result = CliRunner().invoke(cli, [*bring_in.split()[1:], "--min-count", "1"])
    assert result.exit_code == 0, result.output
    config = load(tmp_path / "maskline.yaml")
    assert config.sequence.answers == ("negative", "positive")
    assert "cooperative" in config.sequence.vocabulary
    assert config.model.preset == "text"
