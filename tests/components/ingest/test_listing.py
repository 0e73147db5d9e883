"""What a pattern reaches: each file once, and nothing passed over in silence."""

import contextlib
import fnmatch
import os
import re
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskline.components.ingest.listing import Listing, Shard, list_shards
from maskline.transform.errors import InputError
from tests.fuzz import cases


def make(folder, *names):
    """Files of as many bytes as their names have characters."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * len(name))
    return folder


def names(folder, pattern, **options):
    return [shard.name for shard in list_shards(folder, pattern, **options).shards]


TREE = ("a.tfrecord", "x/b.tfrecord", "x/y/c.tfrecord", "x/y/d.txt")


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.tfrecord", [TREE[0]]),
        ("./*.tfrecord", [TREE[0]]),
        ("*/*.tfrecord", [TREE[1]]),
        ("x/*/c.tfrecord", [TREE[2]]),
        ("**/*.tfrecord", list(TREE[:3])),
        ("**/**/*.tfrecord", list(TREE[:3])),
        ("x/**/*.tfrecord", list(TREE[1:3])),
        ("**/y/*.tfrecord", [TREE[2]]),
        ("**/*", list(TREE)),
        ("**", list(TREE)),
        ("[ab].tf?ecord", [TREE[0]]),
        ("x/**/y/**/*.txt", [TREE[3]]),
    ],
)
def test_pattern_reaches_each_file_once(tmp_path, pattern, found):
    assert names(make(tmp_path, *TREE), pattern) == found


def test_list_holds_sizes_and_times(tmp_path):
    make(tmp_path, "b.tfrecord", "a.tfrecord")
    os.utime(tmp_path / "a.tfrecord", ns=(1, 2**60 + 1))
    listing = list_shards(tmp_path, "*", span=3, version=2)
    assert listing.shards[0] == Shard("a.tfrecord", 10, 2**60 + 1, "")
    assert (listing.folder, listing.span, listing.version) == (str(tmp_path), 3, 2)
    assert listing.paths == [tmp_path / "a.tfrecord", tmp_path / "b.tfrecord"]
    assert Listing.model_validate_json(listing.model_dump_json()) == listing


def test_digest_changes_with_any_shard(tmp_path):
    make(tmp_path, "a", "b")
    seen = [list_shards(tmp_path, "*").digest]
    assert list_shards(tmp_path, "*").digest == seen[0]
    time = (tmp_path / "a").stat().st_mtime_ns
    for change in (
        lambda: os.utime(tmp_path / "a", ns=(time + 1, time + 1)),
        lambda: (tmp_path / "a").write_text("longer"),
        lambda: (tmp_path / "b").rename(tmp_path / "c"),
        lambda: (tmp_path / "c").unlink(),
    ):
        change()
        seen.append(list_shards(tmp_path, "*").digest)
    assert len(set(seen)) == 5


@pytest.mark.parametrize(
    "name", ["a\\b.tfrecord", "[1].tfrecord", "*.tfrecord", "{a}.tfrecord", "é 日.tfrecord"]
)
def test_names_stand_for_themselves(tmp_path, name):
    assert names(make(tmp_path, f"in [v1]*/{name}") / "in [v1]*", "*.tfrecord") == [name]


def test_links_are_followed(tmp_path):
    make(tmp_path, "far/day/a.tfrecord", "far/b.tfrecord", "data/day0/c.tfrecord")
    (tmp_path / "data/day1").symlink_to(tmp_path / "far/day")
    (tmp_path / "data/day0/b.tfrecord").symlink_to("../../far/b.tfrecord")
    assert names(tmp_path / "data", "*/*.tfrecord") == [
        "day0/b.tfrecord",
        "day0/c.tfrecord",
        "day1/a.tfrecord",
    ]
    assert names(tmp_path / "data", "**/*.tfrecord") == names(tmp_path / "data", "*/*.tfrecord")


def test_names_that_begin_with_a_dot_or_an_underscore_are_counted_and_are_no_shards(tmp_path):
    make(tmp_path, "a.tfrecord", ".a.tfrecord.crc", ".a.tfrecord.Xq81z", "_b.tfrecord", "_SUCCESS", "notes")
    listing = list_shards(tmp_path, "*.tfrecord*")
    assert ([shard.name for shard in listing.shards], listing.hidden) == (["a.tfrecord"], 3)
    make(tmp_path, "_temporary/0/a.tfrecord", ".git/b.tfrecord")
    assert list_shards(tmp_path, "**/*.tfrecord").hidden == 3  # each folder counts once
    (tmp_path / "a.tfrecord").unlink()
    with pytest.raises(
        InputError, match=r"no shard matches.*; 3 names that begin with '.' or '_' are not shards$"
    ):
        list_shards(tmp_path, "*.tfrecord*")


def test_given_splits_are_listed_apart(tmp_path):
    make(tmp_path, "train/a.tfrecord", "eval/a.tfrecord", "c.tfrecord")
    shards = list_shards(tmp_path, "*.tfrecord", presplit=True).shards
    assert [(shard.name, shard.split) for shard in shards] == [
        ("eval/a.tfrecord", "eval"),
        ("train/a.tfrecord", "train"),
    ]
    (tmp_path / "eval/a.tfrecord").unlink()
    with pytest.raises(
        InputError, match=r"eval: no shard matches '\*.tfrecord' \(data.pattern\); it is empty"
    ):
        list_shards(tmp_path, "*.tfrecord", presplit=True)


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("/x/*.tfrecord", "data.pattern: '/x/*.tfrecord' is absolute; give it relative to data.path"),
        ("../*.tfrecord", "data.pattern: '../*.tfrecord' names no files below data.path"),
        ("*/", "data.pattern: '*/' names no files below data.path"),
        (".", "data.pattern: '.' names no files below data.path"),
        ("*.gz", "no shard matches '*.gz' (data.pattern); it holds 'a.tfrecord'"),
        ("b/*.gz", "no shard matches 'b/*.gz'"),
        ("a.tfrecord/*", "no shard matches 'a.tfrecord/*'"),
    ],
)
def test_pattern_that_reaches_nothing_is_named(tmp_path, pattern, problem):
    with pytest.raises(InputError, match=re.escape(problem)):
        list_shards(make(tmp_path, "a.tfrecord"), pattern)


def folder(path):
    make(path, "part-00000")


def same_file(path):
    path.symlink_to("a.tfrecord")


def hard_link(path):
    path.hardlink_to(path.with_name("a.tfrecord"))


def dangling(path):
    path.symlink_to(".git/annex/objects/Xm/a.tfrecord")


def circle(path):
    path.symlink_to(path.name)


def not_a_directory(path):
    path.symlink_to("a.tfrecord/b")


def sock(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize(
    ("make_it", "problem"),
    [
        (folder, "is a folder with a shard's name; move it, or let data.pattern reach its files, as"),
        (os.mkfifo, "is a FIFO and not a file; remove it"),
        (sock, "is a socket and not a file; remove it"),
        (dangling, "is a link to '.git/annex/objects/Xm/a.tfrecord', which is not there; fetch the data, or"),
        (not_a_directory, "is a link to 'a.tfrecord/b', which is not there"),
        (circle, "is a link that leads to itself; remove it"),
        (same_file, "a.tfrecord, so its rows would count twice; remove one"),
        (hard_link, "a.tfrecord, so its rows would count twice; remove one"),
    ],
)  # fmt: skip
def test_what_is_no_shard_of_its_own_is_named(tmp_path, make_it, problem):
    make(tmp_path, "a.tfrecord")
    make_it(tmp_path / "b.tfrecord")
    with pytest.raises(InputError) as refused:
        list_shards(tmp_path, "*.tfrecord")
    assert str(refused.value).startswith(f"{tmp_path}/b.tfrecord: ")
    assert problem in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("pattern", ["*/*.tfrecord", "**/*.tfrecord", "day*/*.tfrecord"])
@pytest.mark.parametrize("target", ["nowhere", "day1", ".", ".."])
def test_link_where_a_folder_is_meant_is_named(tmp_path, pattern, target):
    make(tmp_path / "data", "day0/a.tfrecord")
    (tmp_path / "data/day1").symlink_to(target)
    with pytest.raises(InputError, match=r"data/day1: is a link (to 'nowhere', which|that leads)"):
        list_shards(tmp_path / "data", pattern)


def test_what_the_pattern_does_not_mean_is_left_alone(tmp_path):
    make(tmp_path, "a.tfrecord", "logs/x")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("nowhere")
    assert names(tmp_path, "*.tfrecord") == ["a.tfrecord"]


def test_a_folder_that_is_reached_whole_may_have_any_name(tmp_path):
    make(tmp_path, "b.tfrecord/part-0", "c.tfrecord")
    assert names(tmp_path, "**/*") == ["b.tfrecord/part-0", "c.tfrecord"]
    with pytest.raises(InputError, match=r"b.tfrecord: is a folder with a shard's name"):
        list_shards(tmp_path, "**/*.tfrecord")


@pytest.mark.parametrize("name", [b"\xff.tfrecord", b"a\n.tfrecord"])
def test_a_name_that_cannot_be_printed_is_refused(tmp_path, name):
    (tmp_path / os.fsdecode(name)).touch()
    with pytest.raises(
        InputError, match=r"'(\\udcff|a\\n).tfrecord' is not a printable name; rename the file"
    ):
        list_shards(tmp_path, "*")


def test_no_folder_is_named(tmp_path):
    make(tmp_path, "file")
    with pytest.raises(InputError, match="nowhere: no such data directory"):
        list_shards(tmp_path / "nowhere", "*")
    with pytest.raises(InputError, match="file: is not a directory"):
        list_shards(tmp_path / "file", "*")
    make(tmp_path, "train/a", "eval/a")
    with pytest.raises(InputError, match=r"it holds train and eval; data.presplit=true takes them"):
        list_shards(tmp_path, "*.tfrecord")


characters = st.sampled_from([*"ab.*[]?\\{}$^ é-_"])
part = st.text(characters, min_size=1, max_size=4).filter(lambda name: name not in (".", ".."))
paths = st.lists(part, min_size=1, max_size=4).map("/".join)
wild = st.sampled_from(["*", "**", "a*", "?", "*.b", "[ab]*"])


def reaches(pattern, name):
    """The same by another way: a path's parts against the pattern's."""
    if not pattern or not name:
        return not pattern and not name
    if pattern[0] == "**":
        return any(reaches(pattern[1:] or ["*"], name[start:]) for start in range(len(name)))
    return fnmatch.fnmatchcase(name[0], pattern[0]) and reaches(pattern[1:], name[1:])


@cases(150)
@given(files=st.sets(paths, max_size=8), pattern=st.lists(wild | part, min_size=1, max_size=4))
def test_each_file_that_matches_is_listed_once_whatever_its_name(tmp_path_factory, files, pattern):
    base = tmp_path_factory.mktemp("fuzz")
    for file in files:
        with contextlib.suppress(OSError):  # a file is where another name needs a folder
            make(base, file)
    there = [path.relative_to(base).parts for path in base.rglob("*") if path.is_file()]
    visible = [name for name in there if not any(part[0] in "._" for part in name)]
    wanted = sorted("/".join(name) for name in visible if reaches(pattern, name))
    try:
        found = names(base, "/".join(pattern))
    except InputError as refused:
        found = [] if "is a folder with a shard's name" not in str(refused) else wanted
    assert found == wanted
