"""What a module's first line promises of its imports stands in a contract of import-linter's."""

import ast
import re
import tomllib
from collections.abc import Iterator

from tests.support import REPOSITORY

ROOMS = ("components", "pipeline", "trainer", "transform")
NEITHER = re.compile(
    r"[Nn]o TensorFlow|[Nn]either TFX nor TensorFlow|[Nn]othing of TensorFlow|[Nn]eeds no TensorFlow"
)
NO_TFX = re.compile(r"([Nn]o|[Ii]mports no) TFX\b")


def docstrings():
    for room in ROOMS:
        for file in (REPOSITORY / room).rglob("*.py"):
            name = ".".join(("maskline", *file.relative_to(REPOSITORY).with_suffix("").parts))
            text = ast.get_docstring(ast.parse(file.read_text())) or ""
            yield name.removesuffix(".__init__"), text.split("\n\n")[0]


def held(package):
    """The modules of which a contract says that they do not import a package."""
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    return {module for contract in contracts if package in contract.get("forbidden_modules", ())
            for module in contract["source_modules"]}  # fmt: skip


def not_held(promised, package):
    """Those of which no contract speaks; what it says of a package holds for all below it."""
    spoken_of = held(package)
    return sorted(n for n in promised if not any(n == m or n.startswith(f"{m}.") for m in spoken_of))


def test_what_a_first_line_promises_a_contract_holds():
    promised = {name for name, text in docstrings() if NEITHER.search(text)}
    assert len(promised) > 10
    assert not_held(promised, "tensorflow") == []
    no_tfx = {name for name, text in docstrings() if NO_TFX.search(text)}
    assert len(no_tfx) >= 8
    assert not_held(no_tfx, "tfx") == []


def test_no_two_public_classes_have_the_same_name():
    places: dict[str, list[str]] = {}
    for room in ROOMS:
        for file in (REPOSITORY / room).rglob("*.py"):
            for node in ast.parse(file.read_text()).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places.setdefault(node.name, []).append(str(file.relative_to(REPOSITORY)))
    # A component's executor is called by this name in TFX's dialect.
    assert {name: files for name, files in places.items() if len(files) > 1 and name != "Executor"} == {}


def definitions(tree: ast.Module) -> Iterator[str]:
    """The public functions, classes and constants of a module."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        targets = [*getattr(node, "targets", ()), getattr(node, "target", None)]
        yield from (target.id for target in targets if isinstance(target, ast.Name))


def test_a_name_that_is_imported_alone_means_one_thing_and_has_no_other_name():
    """Names that are used behind their module's, as `audit.append`, need to be unique in the module only.

    Commands are called what a user types, and executors what TFX's dialect calls them.
    """
    places: dict[str, set[str]] = {}
    imported: set[str] = set()
    renamed: list[str] = []
    for file in (file for room in ROOMS for file in (REPOSITORY / room).rglob("*.py")):
        tree, place = ast.parse(file.read_text()), str(file.relative_to(REPOSITORY))
        for name in () if place.startswith("pipeline/commands/") else definitions(tree):
            if not name.startswith("_") and name not in ("logger", "Executor"):
                places.setdefault(name, set()).add(place)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("maskline."):
                module = REPOSITORY / str(node.module).removeprefix("maskline.").replace(".", "/")
                if module.with_suffix(".py").exists():
                    imported |= {alias.name for alias in node.names}
                    renamed += [f"{place}: {a.name} as {a.asname}" for a in node.names if a.asname]
    assert {name: places[name] for name in imported & places.keys() if len(places[name]) > 1} == {}
    assert renamed == []
