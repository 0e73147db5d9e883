"""Functions of the user's own: found, refused in one line, and named by all the source they depend on."""

import os
import sys

import pytest

from maskline.transform import own_code
from maskline.transform.errors import InputError

WHERE = "model.build"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder in which modules are looked for; what a test imports from it is forgotten."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("PYTHONPATH", "")
    before = set(sys.modules)
    own_code.look_in(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def refused(path, ask=own_code.function):
    with pytest.raises(InputError) as error:
        ask(path, WHERE)
    text = str(error.value)
    assert "\n" not in text
    assert text.startswith(f"{WHERE}: {path}")
    return text


def test_a_function_is_imported_from_a_module_and_from_a_package(folder):
    (folder / "own_plain.py").write_text("def double(x): return 2 * x")
    (folder / "own_package").mkdir()
    (folder / "own_package/inner.py").write_text("def triple(x): return 3 * x")
    assert own_code.function("own_plain:double", WHERE)(2) == 4
    assert own_code.function("own_package.inner:triple", WHERE)(2) == 6


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import nothing_there", "cannot be imported: ModuleNotFoundError: No module named 'nothing_there'"),
        ("x = 1\nx / 0", "cannot be imported: ZeroDivisionError: division by zero (own_bad.py:2)"),
        ("def build(:", "cannot be imported: SyntaxError: invalid syntax"),
        ("def other(): ...", "there is no function 'build'"),
        ("build = 3", "is no function: 'build'"),
    ],
)
def test_what_cannot_be_imported_is_one_line(folder, source, words):
    (folder / "own_bad.py").write_text(source)
    assert words in refused("own_bad:build")


def test_a_module_that_is_nowhere_is_one_line_with_the_way_on():
    for ask in (own_code.function, own_code.files):
        text = refused("not_there.models:build", ask)
        assert "there is no module 'not_there'; put it beside the settings file" in text


def test_the_digest_changes_with_each_module_that_the_function_depends_on_and_with_no_other(folder):
    (folder / "own_model.py").write_text("import own_helper\ndef build(): raise SystemExit")
    (folder / "own_helper.py").write_text("from own_parts.layers import layer")
    (folder / "own_parts").mkdir()
    (folder / "own_parts/layers.py").write_text("layer = 1")
    (folder / "own_stranger.py").write_text("nothing = 1")

    def digest():
        return own_code.source("own_model:build", WHERE)

    first = digest()
    assert digest() == first
    (folder / "own_stranger.py").write_text("nothing = 2")
    assert digest() == first
    seen = {first}
    for name in ("own_model.py", "own_helper.py", "own_parts/layers.py"):
        (folder / name).write_text((folder / name).read_text() + "\n# edited\n")
        assert digest() not in seen
        seen.add(digest())
    assert list(own_code.files("own_model:build", WHERE)) == [
        "own_helper.py", "own_model.py", "own_parts/layers.py",
    ]  # fmt: skip
    assert not {"own_model", "own_helper"} & set(sys.modules)  # none of it has run


def test_processes_that_are_started_find_the_folder_too(folder):
    assert os.environ["PYTHONPATH"].split(os.pathsep)[-1] == str(folder)
