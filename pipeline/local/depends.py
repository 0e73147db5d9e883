"""Names what a run depends on: data, settings, schema, source. Two runs with one name would do the same."""

import hashlib
from collections.abc import Sequence

from maskline.pipeline import fingerprint
from maskline.pipeline.settings.sections import Settings

# Where and when a run works, and not what it does.
_NO_PART = {"cluster", "schedule", "notify", "tracking", "tune", "root"}


def depends_on(settings: Settings, schema: str, versions: Sequence[str]) -> str:
    """A digest of all that a run depends on.

    Args:
      settings: of the run, with the span that it runs on.
      schema: the curated schema as text.
      versions: of the shards of each span of the window; see `inputs.Delivery`.

    Raises:
      InputError: a function that the settings name cannot be imported.

    Returns:
      16 hexadecimal digits.

    Raises:
      InputError: the source of a function of the user's own cannot be found.
    """
    source = fingerprint.SourceCode().with_own(settings.functions, *fingerprint.ROOMS)
    return short_digest(settings.model_dump_json(exclude=_NO_PART), schema, *versions, source)


def short_digest(*parts: str) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of some texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
