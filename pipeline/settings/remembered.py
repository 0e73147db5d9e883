"""A root remembers the settings of its last run, so that commands about that run need no --config."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from maskline.pipeline.settings.load import Loaded, load_with_sources, validated
from maskline.pipeline.settings.sources import Given, from_options, prepared, read_file
from maskline.pipeline.settings.values import Origin, merge, tree
from maskline.transform.errors import InputError, cannot_write
from maskline.transform.versioned import FORMAT, refuse_newer

FILE = "settings.json"


def remember(loaded: Loaded) -> None:
    """Writes under the root which file and options a run was given.

    The file is named, and what stands in it is kept for the day when it is gone.
    """
    file = loaded.settings.root / FILE
    known = {
        FORMAT: 1,
        "file": str(loaded.file.expanduser().absolute()) if loaded.file else None,
        "given": loaded.base.values.plain(),
        "options": loaded.options.values.plain(),
    }
    partial = file.with_name(f".{FILE}.partial")
    try:
        partial.write_text(json.dumps(known, indent=1), encoding="utf-8")
        os.replace(partial, file)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise cannot_write(file, error) from None


def of_root(file: Path | None, overrides: Sequence[str], root: Path | None) -> Loaded:
    """The settings for a look at what a root holds.

    Args:
      file: a YAML file, which wins over what the root remembers.
      overrides: as for `load_with_sources`.
      root: the root; without it that of `maskline.yaml` here, or `maskline-root`.

    Returns:
      the settings that the last run there was given, its file as it is today; else those in force here.

    Raises:
      InputError: as `load_with_sources`, or what the root remembers cannot be read.
    """
    here = load_with_sources(file, overrides, root=root) if file or not root else None
    place = here.settings.root if here else _normal(root)
    if place.exists() and not place.is_dir():
        raise InputError(f"{place}: is not a directory; give the root of a run")
    known = None if file else _recall(place)
    if known is None:
        return here or load_with_sources(None, overrides, root=root)
    source = Origin("root", str(place / FILE), folder=place)
    given, options = (prepared(tree(known[part], source)) for part in ("given", "options"))
    now = from_options(overrides, root=place)
    options = Given(merge(options.values, now.values), now.notices)
    path = Path(known["file"]) if known["file"] else None
    if path and path.exists():
        return validated(read_file(path), options, path)
    return validated(given, options, path)


def is_found_from_here(root: Path) -> bool:
    """Whether a command that is typed here, without options, is about this root."""
    try:
        return load_with_sources().settings.root == root
    except InputError:
        return False


def _normal(root: Path | None) -> Path:
    return Path(from_options(root=root).values.plain()["root"])


def _recall(root: Path) -> dict[str, Any] | None:
    file = root / FILE
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        refuse_newer(file, known)
        if isinstance(known["given"], dict) and isinstance(known["options"], dict):
            return {"file": known.get("file"), **known}
    except FileNotFoundError:
        return None
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    raise InputError(f"{file}: does not hold the settings of a run; remove it, or give --config")
