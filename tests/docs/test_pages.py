"""What pages promise about the repository: paths exist, exit statuses agree, output blocks are tested."""

import re

import pytest

from maskline.pipeline.commands.group import EXIT_STATUSES
from maskline.transform.names import Exit
from tests.docs.outputs import blocks, pages
from tests.support import REPOSITORY, maskline

# Made by a command, or given as a pattern, or a name below another folder that the text gives.
NOT_IN_A_CHECKOUT = re.compile(r"[<>*…{}$ ]|^(maskline-root|data|build|\.venv|\.venv-jax|\.tools|serving)\b")
PATH = re.compile(r"`([\w./<>*{}-]+/|[\w./<>*{}-]*/[\w.-]+\.(?:py|md|yaml|toml))`")


def paths_in(text: str) -> set[str]:
    return {path for path in PATH.findall(text) if not NOT_IN_A_CHECKOUT.search(path)}


@pytest.mark.parametrize("page", ["docs/architecture.md", "docs/behind-the-scenes.md", "CONTRIBUTING.md"])
def test_every_path_that_a_page_names_exists(page):
    named = paths_in((REPOSITORY / page).read_text())
    assert named
    assert {path for path in named if not (REPOSITORY / path).exists()} == set()


@pytest.mark.parametrize(
    "change",
    [
        "a new drift rule",
        "a new slice of the eval rows",
        "a new check of the exported model",
        "a new layer",
        "another cluster resource",
        "another CLI command",
    ],
)
def test_architecture_says_which_file_a_change_goes_in(change):
    rows = (REPOSITORY / "docs/architecture.md").read_text().splitlines()
    [row] = [row for row in rows if row.startswith(f"| {change}")]
    assert paths_in(row)


def test_exit_statuses_in_the_readme_are_those_of_the_help():
    readme = (REPOSITORY / "README.md").read_text()
    table = dict(re.findall(r"^\| (\d+) \| (.+?) \|$", readme, re.MULTILINE))
    assert {int(status): meaning for status, meaning in table.items()} == EXIT_STATUSES
    assert set(EXIT_STATUSES) == set(Exit)
    shown = " ".join(maskline("run", "--help").stdout.split())
    for status, meaning in EXIT_STATUSES.items():
        assert f"{status} {meaning}" in shown


def test_every_output_block_is_held_against_a_command_by_a_test():
    tests = "\n".join(
        path.read_text() for path in REPOSITORY.glob("tests/**/test_*.py") if path.name != "test_pages.py"
    )
    asserted = set(re.findall(r'assert_documented\(\s*"([\w-]+)"', tests))
    assert asserted == set(blocks())


@pytest.mark.parametrize("page", list(pages()), ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_no_output_block_is_unmarked(page):
    lines = page.read_text().splitlines()
    unmarked = [
        (number + 1, line)
        for number, line in enumerate(lines)
        if line in ("```text", "```console", "```json") and not lines[number - 1].startswith("<!-- output: ")
    ]
    assert unmarked == []


def test_architecture_names_every_folder_of_the_rooms():
    named = paths_in((REPOSITORY / "docs/architecture.md").read_text())
    for room in ("components", "pipeline"):
        folders = {path.parent for path in (REPOSITORY / room).glob("*/__init__.py")}
        assert {f"{folder.relative_to(REPOSITORY)}/" for folder in folders} <= named
