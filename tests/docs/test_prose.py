"""The prose linter: what it reads, what it leaves out, and what it says."""

import pytest

from tests.docs.prose import Text, comments, findings, help_texts, pages, settings, sources, strings, styles


def problems(*texts: Text) -> list[str]:
    return [str(finding) for finding in findings(texts)]


def page(text: str) -> list[str]:
    return problems(Text("page.md", 1, text))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("An artefact.", 1),
        ("One.\n\nThe colour of it.", 3),
        ("What is\nleft out.", 1),
        ("How many numbers there are none.", 1),
        ("It says so no more.", 1),
        ("At this point in time it fails.", 1),  # a cliché that proselint knows
    ],
)
def test_prose_is_judged_where_it_stands(text, line):
    assert page(text)[0].startswith(f"page.md:{line}: ")


@pytest.mark.parametrize(
    "text",
    [
        "It costs no more than before.",
        "Where there is none, it is made.",
        "`artefact` is a word of code.",
        "```text\nan artefact\n```",
        "So:\n\n    maskline run anew\n\nand then it ends.",
        "[a page](artefact.md) and <!-- an artefact -->",
        "Two files are told apart by their names.",
    ],
)
def test_code_and_plain_english_pass(text):
    assert page(text) == []


def test_docstrings_messages_and_comments_are_prose():
    code = '"""Makes it anew."""\nraise E(f"{x}: mend it, please")  # and the\n# artefact too\n'
    found = problems(*strings("a.py", code), *comments("a.py", code))
    assert [finding.split(": write")[0] for finding in found] == [
        "a.py:1: 'anew'",
        "a.py:2: 'mend'",
        "a.py:3: 'artefact'",
    ]


def test_every_kind_of_text_of_the_project_is_read():
    places = {text.place for texts in (pages(), settings(), help_texts(), sources()) for text in texts}
    assert {"README.md", "docs/data.md", "kubeflow/README.md", "maskline.yaml", "maskline data stats --set",
            "maskline run --root", "trainer/layers.py", "kubeflow/node.py"} <= places  # fmt: skip


def test_every_entry_of_the_word_list_says_what_to_write():
    assert all(style.instead for style in styles())
