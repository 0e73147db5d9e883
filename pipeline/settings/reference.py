"""Writes docs/settings.md from what the classes of the settings declare.

python -m maskline.pipeline.settings.reference > docs/settings.md
"""

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

from pydantic_core import PydanticUndefined

from maskline.pipeline.settings import fields
from maskline.pipeline.settings.aliases import SECTIONS
from maskline.pipeline.settings.sections import Settings
from maskline.transform.settings import Section

_HEAD = """# Settings

One YAML file holds the settings of a run: the file that `--config` names, else `maskline.yaml` in the working
folder. Every key may be left out; then its default holds. `--set training.epochs=20` overrides one value, and
`maskline settings` prints those in force, each with where it was set.

The file is YAML 1.2: `on`, `yes` and dates are text, and `010` is ten. A path in the file is relative to
the file's folder, a path on the command line to the working folder, and `~` is the home directory. A wrong
setting ends a command with exit status 2 and one line: file and line or the option, the setting, its value,
and what is allowed.

A root remembers what its last run was given (`settings.json`), so that `maskline show --root DIR`, `predict`,
`data stats`, `schema diff` and `bless` need no `--config`.

This page is made from the source:
`.venv/bin/python -m maskline.pipeline.settings.reference > docs/settings.md`.
"""


def settings_page() -> str:
    """The page, a table for each section."""
    return "\n".join([_HEAD, *_section("", Settings), *_old_names()]).rstrip() + "\n"


def _section(name: str, section: type[Section]) -> Iterator[str]:
    if name:
        yield f"## {name}\n"
        yield f"{(section.__doc__ or '').splitlines()[0]}\n"
    yield from _table(section)
    entries = []
    for key, info in fields.keys(section).items():
        inner = fields.section_in(info.annotation)
        full = f"{name}.{key}" if name else key
        if inner and fields.is_section(info.annotation):
            yield from _section(full, inner)
        elif inner:
            entries.append((f"Entries of {full}", inner))
    for title, inner in entries:
        if inner.__name__ != "NodeSettings":  # they stand under cluster.node already
            yield from _section(title, inner)


def _table(section: type[Section]) -> Iterator[str]:
    yield "| setting | default | unit | allowed | meaning |"
    yield "| --- | --- | --- | --- | --- |"
    for key, info in fields.keys(section).items():
        if fields.is_section(info.annotation):
            continue
        field = fields.Field((key,), info)
        allowed = re.sub(r"(?<=matches ).+", r"`\g<0>`", field.allowed)
        cells = (f"`{key}`", _default(info.default), field.unit, allowed, field.description)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "needed"
    if value is None:
        return ""
    if isinstance(value, dict):
        value = {
            k: v.model_dump(exclude_unset=True) if isinstance(v, Section) else v for k, v in value.items()
        }
    text = json.dumps(value, default=str, ensure_ascii=False)
    return f"`{value}`" if isinstance(value, str) and value.strip() else f"`{text}`"


def _old_names() -> Iterator[str]:
    yield "## Names of earlier versions\n"
    yield "They keep working, in a file and with `--set`, with a notice that names the current key.\n"
    yield "| earlier | today |"
    yield "| --- | --- |"
    for old, new in SECTIONS.items():
        yield f"| `{old}` | `{new}` |"
    yield "| a bar under `evaluation`, such as `evaluation.min_accuracy` | the same under `release_gate` |"


if __name__ == "__main__":
    sys.stdout.write(settings_page())
