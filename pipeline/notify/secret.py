"""Secrets: read from the environment or from files when they are needed, and never kept."""

import os
from pathlib import Path

from maskline.transform.errors import InputError


def read(reference: str, setting: str) -> str:
    """The secret at a place.

    Args:
      reference: `env:NAME`, or `file:PATH`, whose last line end is no part of it.
      setting: whose secret it is, for messages.

    Raises:
      InputError: nothing is there; names the place and not what is there.
    """
    kind, _, place = reference.partition(":")
    if kind == "env":
        found = os.environ.get(place, "")
        if not found:
            raise InputError(f"{setting}: the environment variable {place} is not set; set it")
        return found
    try:
        found = Path(place).expanduser().read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or "is not text"
        raise InputError(f"{setting}: {place}: cannot be read ({why})") from None
    if not found:
        raise InputError(f"{setting}: {place}: is empty; write the secret into it")
    return found
