"""The licences of all packages of both stacks: collected from their metadata, and judged by a list.

Usage: python -m tests.stack.licences FOLDER...   (`site-packages` of an environment of each stack)

It writes locks/licences.json, which tests read without the network, and the table in docs/packages.md. The
judgement, `problems`, needs neither the network nor the packages of the other stack.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any, NamedTuple

import yaml
from packaging.utils import canonicalize_name

from tests.stack.locked import LOCKS, NAMES, RUN, Locked, locked

TABLE, PAGE = LOCKS / "licences.json", LOCKS.parent / "docs/packages.md"
RULES = yaml.safe_load((LOCKS.parent / "tests/stack/licences.yaml").read_text())
_HEAD = """# Packages

Every package of both [stacks](adr/0014-two-stacks-are-locked.md), with its licence as its metadata state it.
A test compares the licences of all packages with the list in `tests/stack/licences.yaml`. `make audit` looks
for known vulnerabilities and for versions that were withdrawn. `make sbom` writes the same packages as
CycloneDX documents.

This page is made by `.venv/bin/python -m tests.stack.licences SITE-PACKAGES…`, with an environment of each
stack.

"""


class Known(NamedTuple):
    """What a package states: its licence, as an SPDX expression where it has the form of one; its keeper."""

    licence: str
    keeper: str


Table = Mapping[str, Known]  # by name==version


def stated(found: Any) -> Known:
    """Reads the newest of the three places in a package's metadata where it may name its licence."""
    classifiers = [line.split(" :: ") for line in found.get_all("Classifier", [])]
    ends = sorted({parts[-1] for parts in classifiers if parts[0] == "License"} - {"OSI Approved"})
    lines = (found.get("License") or "").strip().splitlines() or [""]
    licence = found.get("License-Expression") or " AND ".join(map(_spelled, ends)) or _spelled(lines[0])
    elsewhere = RULES["stated_elsewhere"].get(canonicalize_name(found["Name"]), "")
    people = [found.get(key) or "" for key in ("Author", "Maintainer", "Author-email", "Maintainer-email")]
    keeper = next((_name(text) for text in people if _name(text)), "")
    return Known(licence or elsewhere, keeper)


def _spelled(name: str) -> str:
    return RULES["spellings"].get(name, name)


def _name(text: str) -> str:
    """The first person or group, without an address."""
    text = re.sub(r"<[^>]*>?|\S+@\S+", "", text.split(",")[0].split(";")[0])
    return text.replace('"', "").replace("|", "/").strip()


def is_allowed(licence: str) -> bool:
    """Whether an expression is: each part that is joined by AND needs one choice that is on the list."""
    parts = [part.strip("() ").split(" OR ") for part in re.split(r" AND (?![^(]*\))", licence)]
    return all(any(choice in RULES["allowed"] for choice in part) for part in parts)


def problems(table: Table, lock: str) -> Iterator[str]:
    """Says which packages of a lock may not be there, one line each."""
    for package in locked(lock):
        known = table.get(str(package))
        if known is None:
            yield f"{package}: its licence is not known; see tests/stack/licences.py"
        elif lock not in RUN and RULES["tools_only"].get(package.name) == known.licence:
            continue
        elif not is_allowed(known.licence):
            yield f"{package}: its licence, {known.licence!r}, is not allowed"


def read_table() -> Table:
    """What was collected."""
    return {name: Known(**known) for name, known in json.loads(TABLE.read_text()).items()}


def page(table: Table) -> str:
    """The page in the docs."""
    found: dict[str, dict[str, Locked]] = {}
    for lock in NAMES:
        for package in locked(lock):
            found.setdefault(package.name, {})[lock] = package
    lines = ["| package | version | licence | who keeps it | why |", "| --- | --- | --- | --- | --- |"]
    for name, by_lock in sorted(found.items()):
        known = table[str(next(iter(by_lock.values())))]
        cells = (name, _versions(by_lock), known.licence, known.keeper or "–", _why(by_lock))
        lines.append(f"| {' | '.join(cells)} |")
    return _HEAD + "\n".join(lines) + "\n"


def _versions(by_lock: Mapping[str, Locked]) -> str:
    versions: dict[str, list[str]] = {}
    for lock, package in by_lock.items():
        versions.setdefault(package.version, []).append(lock.removesuffix("-dev"))
    if len(versions) == 1:
        return next(iter(versions))
    return ", ".join(f"{version} ({' and '.join(dict.fromkeys(at))})" for version, at in versions.items())


def _why(by_lock: Mapping[str, Locked]) -> str:
    tool = "" if set(by_lock) & set(RUN) else " (development only)"
    packages = list(by_lock.values())
    if any(package.group for package in packages):
        return RULES["why"][packages[0].name] + tool
    return "for " + ", ".join(sorted({by for package in packages for by in package.asked_by})[:3]) + tool


if __name__ == "__main__":
    needed = {str(package) for lock in NAMES for package in locked(lock)}
    table = dict(read_table()) if TABLE.exists() else {}
    for found in metadata.distributions(path=sys.argv[1:]):
        table[f"{canonicalize_name(found.metadata['Name'])}=={found.version}"] = stated(found.metadata)
    known = {name: table[name]._asdict() for name in sorted(table) if name in needed}
    TABLE.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")
    if missing := [line for lock in NAMES for line in problems(read_table(), lock)]:
        sys.exit("\n".join(missing))
    PAGE.write_text(page(read_table()))
