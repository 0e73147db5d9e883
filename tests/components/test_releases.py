"""Publishing by identity, and finding the live model."""

import json
import shutil
from pathlib import Path

import pytest
from tfx.types.standard_artifacts import Model, ModelBlessing, PushedModel

from components.pusher import Executor
from components.release_gate import ACCURACY, bless
from components.releases import Release
from components.resolvers import LiveModelStrategy
from components.serving import remove, versions
from transform.features import IDENTITY_FILE


def saved_model(folder: Path, identity: str) -> Path:
    card = folder / IDENTITY_FILE
    card.parent.mkdir(parents=True)
    card.write_text(json.dumps({"identity": identity}))
    (folder / "saved_model.pb").write_text(identity)
    return folder


def model(tmp_path, identity, number):
    artifact = Model()
    artifact.uri = str(tmp_path / f"model-{number}")
    artifact.id = number
    if not Path(artifact.uri).exists():
        saved_model(Path(artifact.uri) / "Format-Serving", identity)
    return artifact


def push(tmp_path, identity, number, *, blessed=True):
    """Runs the Pusher; gives its Release and PushedModel."""
    blessing = ModelBlessing()
    blessing.set_int_custom_property("blessed", int(blessed))
    outputs = {"pushed_model": [PushedModel()], "release": [Release()]}
    inputs = {"model": [model(tmp_path, identity, number)], "model_blessing": [blessing]}
    Executor().Do(inputs, outputs, {"serving_dir": str(tmp_path / "serving")})
    return outputs["release"], outputs["pushed_model"][0]


def identities(tmp_path):
    return [(v.number, v.identity) for v in versions(tmp_path / "serving")]


def test_pusher_records_what_went_live(tmp_path):
    [release], pushed = push(tmp_path, "a", 5)
    assert (release.version, release.identity, release.model_id) == (1, "a", 5)
    assert pushed.get_int_custom_property("pushed") == 1
    assert pushed.get_string_custom_property("pushed_destination") == str(tmp_path / "serving" / "1")


def test_model_without_blessing_is_not_pushed(tmp_path):
    releases, pushed = push(tmp_path, "a", 5, blessed=False)
    assert (releases, identities(tmp_path), pushed.get_int_custom_property("pushed")) == ([], [], 0)


def test_published_but_not_recorded_is_recorded_and_not_published_again(tmp_path):
    push(tmp_path, "a", 5)
    [release], _ = push(tmp_path, "a", 6)
    assert (release.version, release.model_id) == (1, 6)
    assert identities(tmp_path) == [(1, "a")]


def test_model_that_was_live_before_is_not_published_again(tmp_path):
    push(tmp_path, "a", 5)
    push(tmp_path, "b", 6)
    releases, _ = push(tmp_path, "a", 7)
    assert releases == []
    assert identities(tmp_path) == [(1, "a"), (2, "b")]


def test_model_whose_version_was_removed_is_not_published_again(tmp_path):
    push(tmp_path, "a", 5)
    push(tmp_path, "b", 6)
    remove(tmp_path / "serving", 1)
    releases, _ = push(tmp_path, "a", 7)
    assert (releases, identities(tmp_path)) == ([], [(2, "b")])


@pytest.mark.parametrize(
    ("history", "candidate", "baseline"),
    [
        ("", "a", None),
        ("a", "b", "a"),
        ("ab", "c", "b"),
        ("a", "a", None),  # a rerun of the first run asks what the first run asked
        ("ab", "b", "a"),
        ("aba", "c", "a"),  # rolled back to a: a is live
        ("aba", "b", "a"),
        ("aba", "a", None),
    ],
)
def test_baseline_is_the_live_model_and_never_the_candidate(tmp_path, history, candidate, baseline):
    models = [model(tmp_path, name, ord(name)) for name in sorted(set(history) | {candidate})]
    releases = []
    for number, name in enumerate(history, start=1):
        release = Release()
        release.id, release.version, release.identity, release.model_id = number, number, name, ord(name)
        releases.append(release)
    resolved = LiveModelStrategy().resolve_artifacts(
        None,
        {
            "candidate": [m for m in models if m.id == ord(candidate)],
            "model": models,
            "best": models,
            "release": releases[::-1],
            "blessing": [],
        },
    )
    assert [chr(m.id) for m in resolved["model"]] == ([baseline] if baseline else [])
    assert set(resolved) == {"candidate", "model", "best", "release", "blessing"}


def test_without_a_candidate_there_is_nothing_to_compare_with(tmp_path):
    found = {key: [model(tmp_path, "a", 97)] for key in ("model", "best", "release", "blessing")}
    resolved = LiveModelStrategy().resolve_artifacts(None, found | {"candidate": []})
    assert resolved == {"candidate": [], "model": [], "best": [], "release": [], "blessing": []}


@pytest.mark.parametrize(
    ("history", "candidate", "best"),
    [
        ("abc", "d", "a"),  # each a little worse than the one before
        ("bca", "d", None),  # the best is live, and compared with already
        ("abc", "b", None),  # a rerun asks what the first run asked: then a was live
        ("bc", "d", "b"),
        ("bc", "a", "b"),  # the candidate is the best of all, yet was never released
        ("abcg", "d", "a"),  # g was better, and is gone from the disk
    ],
)
def test_best_is_the_most_accurate_of_the_released(tmp_path, history, candidate, best):
    accuracy = {"a": 0.9, "b": 0.88, "c": 0.86, "d": 0.8, "g": 0.95}
    models = [model(tmp_path, name, ord(name)) for name in "abcdg"]
    shutil.rmtree(models[-1].uri)
    releases, blessings = [], []
    for number, name in enumerate(history, start=1):
        release = Release()
        release.id, release.version, release.identity, release.model_id = number, number, name, ord(name)
        releases.append(release)
    for found in models:
        blessing = ModelBlessing()
        blessing.uri = str(tmp_path / f"blessing-{found.id}")
        bless(blessing, found, passed=True)
        blessing.set_float_custom_property(ACCURACY, accuracy[chr(found.id)])
        blessings.append(blessing)
    resolved = LiveModelStrategy().resolve_artifacts(
        None,
        {
            "candidate": [m for m in models if m.id == ord(candidate)],
            "model": models,
            "best": models,
            "release": releases,
            "blessing": blessings,
        },
    )
    assert [chr(m.id) for m in resolved["best"]] == ([best] if best else [])
