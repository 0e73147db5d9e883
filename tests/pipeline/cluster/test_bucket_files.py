"""The laws of TFX's file access: for TFX's own plugins, and for ours on S3 and Google Cloud Storage."""

import uuid

import pytest
import tensorflow as tf
from tfx.dsl.io import fileio
from tfx.dsl.io.filesystem import Filesystem, NotFoundError
from tfx.dsl.io.filesystem_registry import DEFAULT_FILESYSTEM_REGISTRY
from tfx.dsl.io.plugins.local import LocalFilesystem
from tfx.dsl.io.plugins.tensorflow_gfile import TensorflowFilesystem

from maskline.pipeline.cluster import bucket_files
from maskline.pipeline.cluster.bucket_files import BucketFilesystem


@pytest.fixture(params=["local", "tensorflow", "s3", "gs"])
def place(request, tmp_path) -> tuple[type[Filesystem], str]:
    """A plugin, and a folder that it made."""
    kind = request.param
    if kind in ("local", "tensorflow"):
        files, root = (LocalFilesystem if kind == "local" else TensorflowFilesystem), str(tmp_path / "root")
    else:
        files, root = BucketFilesystem, f"{request.getfixturevalue(kind).url}/{uuid.uuid4()}"
    files.makedirs(root)
    return files, root


def write(files: type[Filesystem], path: str, text: str = "text") -> str:
    files.makedirs(path.rsplit("/", 1)[0])
    with files.open(path, "w") as file:
        file.write(text)
    return path


def read(files: type[Filesystem], path: str) -> str:
    with files.open(path) as file:
        return file.read()


@pytest.fixture
def tree(place) -> tuple[type[Filesystem], str]:
    files, root = place
    for name in ("a.txt", "b/c.txt", "b/d/e.txt", "bb.txt"):
        write(files, f"{root}/{name}", name)
    return files, root


def test_what_is_written_is_read_and_written_over(place):
    files, root = place
    path = write(files, f"{root}/x/é.txt", "Größe\n")
    assert read(files, path) == "Größe\n"
    write(files, path, "new")
    assert read(files, path) == "new"
    with files.open(f"{root}/bytes", "wb") as file:
        file.write(bytes(range(256)))
    with files.open(f"{root}/bytes", "rb") as file:
        assert file.read() == bytes(range(256))


def test_a_folder_is_there_from_when_it_was_made(place):
    files, root = place
    new = f"{root}/new/folder"
    assert not files.exists(new)
    files.makedirs(f"{new}/")
    files.makedirs(new)
    for path in (new, f"{new}/", f"{root}/new"):
        assert files.exists(path)
        assert files.isdir(path)
    assert list(files.listdir(new)) == []
    files.rmtree(f"{root}/new")
    assert not files.exists(new)
    files.mkdir(f"{root}/one")
    assert files.isdir(f"{root}/one")


def test_a_name_is_no_folder_because_another_begins_with_it(tree):
    files, root = tree
    assert [files.isdir(f"{root}/{name}") for name in ("a.txt", "b", "b/", "bb", "b/d")] == [
        False, True, True, False, True
    ]  # fmt: skip
    assert [files.exists(f"{root}/{name}") for name in ("a.txt", "b", "bb", "a", "b/d/e.txt")] == [
        True, True, False, False, True
    ]  # fmt: skip


def test_a_folder_lists_names_of_what_lies_in_it(tree):
    files, root = tree
    assert sorted(files.listdir(root)) == ["a.txt", "b", "bb.txt"]
    assert sorted(files.listdir(f"{root}/b/")) == ["c.txt", "d"]


def test_glob_gives_whole_paths(tree):
    files, root = tree
    assert sorted(files.glob(f"{root}/*.txt")) == [f"{root}/a.txt", f"{root}/bb.txt"]
    assert sorted(files.glob(f"{root}/b/*")) == [f"{root}/b/c.txt", f"{root}/b/d"]
    assert files.glob(f"{root}/none*") == []


def test_walk_goes_down_and_up(tree):
    files, root = tree
    there = [
        (root, ["b"], ["a.txt", "bb.txt"]),
        (f"{root}/b", ["d"], ["c.txt"]),
        (f"{root}/b/d", [], ["e.txt"]),
    ]
    for topdown, expected in ((True, there), (False, there[::-1])):
        walked = [(top.rstrip("/"), sorted(f.rstrip("/") for f in folders), sorted(names))
                  for top, folders, names in files.walk(root, topdown=topdown)]  # fmt: skip
        assert walked == expected
    assert list(files.walk(f"{root}/none")) == []


def test_a_tree_is_removed_and_its_neighbours_stay(tree):
    files, root = tree
    files.rmtree(f"{root}/b")
    assert [files.exists(f"{root}/{name}") for name in ("b", "b/d/e.txt", "bb.txt")] == [False, False, True]


def test_copy_and_rename_keep_what_is_there(tree):
    files, root = tree
    for change in (files.copy, files.rename):
        with pytest.raises((OSError, tf.errors.AlreadyExistsError)):
            change(f"{root}/a.txt", f"{root}/bb.txt")
        assert read(files, f"{root}/bb.txt") == "bb.txt"
    files.copy(f"{root}/a.txt", f"{root}/bb.txt", overwrite=True)
    assert read(files, f"{root}/bb.txt") == read(files, f"{root}/a.txt") == "a.txt"
    files.rename(f"{root}/b/c.txt", f"{root}/bb.txt", overwrite=True)
    assert read(files, f"{root}/bb.txt") == "b/c.txt"
    files.rename(f"{root}/b", f"{root}/moved")
    assert read(files, f"{root}/moved/d/e.txt") == "b/d/e.txt"
    assert not files.exists(f"{root}/b")


def test_size_and_time_are_told(tree):
    files, root = tree
    told = [files.stat(f"{root}/{name}") for name in ("a.txt", "b/d/e.txt")]
    if files is LocalFilesystem:  # TFX counts on what TensorFlow's plugin tells, which is otherwise named
        assert [(t.st_size, t.st_mtime_ns > 10**18) for t in told] == [(5, True), (9, True)]
    else:
        assert [(t.length, t.mtime_nsec > 10**18, t.is_directory) for t in told] == [
            (5, True, False), (9, True, False)
        ]  # fmt: skip


@pytest.mark.parametrize(
    "ask",
    [
        lambda files, none: read(files, none),
        lambda files, none: files.copy(none, f"{none}-2"),
        lambda files, none: files.listdir(none),
        lambda files, none: files.remove(none),
        lambda files, none: files.rename(none, f"{none}-2"),
        lambda files, none: files.rmtree(none),
        lambda files, none: files.stat(none),
    ],
    ids=["open", "copy", "listdir", "remove", "rename", "rmtree", "stat"],
)
def test_what_is_not_there_is_not_found(place, ask):
    files, root = place
    # TensorFlow's plugin opens a file when it is read, past the place where TFX translates.
    with pytest.raises((NotFoundError, tf.errors.NotFoundError)):
        ask(files, f"{root}/none")


def test_removed_file_is_gone(tree):
    files, root = tree
    files.remove(f"{root}/a.txt")
    assert sorted(files.listdir(root)) == ["b", "bb.txt"]


def test_tfx_asks_ours_for_buckets_and_its_own_for_paths(s3):
    bucket_files.register()
    chosen = DEFAULT_FILESYSTEM_REGISTRY.get_filesystem_for_path
    assert [chosen(p) for p in ("s3://b/x", b"gs://b/x", "/tmp/x")] == [
        BucketFilesystem, BucketFilesystem, TensorflowFilesystem
    ]  # fmt: skip
    path = f"{s3.url}/through-tfx/x"
    with fileio.open(path, "w") as file:
        file.write("1")
    assert s3.files("through-tfx") == ["through-tfx/x"]
    fileio.rmtree(f"{s3.url}/through-tfx")
    assert s3.files("through-tfx") == []


def test_folders_without_files_leave_nothing_in_the_bucket_and_nothing_behind(s3):
    bucket_files.register()
    before = set(bucket_files._made)
    fileio.makedirs(f"{s3.url}/empty/a")
    assert s3.files("empty") == []
    fileio.rmtree(f"{s3.url}/empty")
    assert bucket_files._made == before
