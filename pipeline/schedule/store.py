"""What the metadata store knows of earlier runs, as far as a tick asks. No TFX, no TensorFlow."""

from pathlib import Path
from typing import NamedTuple

from ml_metadata.errors import StatusError
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from maskline.transform.errors import InputError
from maskline.transform.names import ROWS_READ, RUN_CONTEXT, RUN_INPUTS, SPAN, VERSION, ArtifactType


class Seen(NamedTuple):
    """What the last run depended on, the spans that were ever ingested, and the name of the newest run.

    Spans are (number, version).
    """

    last: str = ""
    spans: frozenset[tuple[int, int]] = frozenset()
    run: str = ""

    def unchanged(self, depends_on: str) -> bool:
        """Whether the last run came to its end and depended on the same."""
        return bool(self.last) and self.last == depends_on


def look_at_store(metadata_file: Path) -> Seen:
    """Reads the store of a root; nothing where there is none.

    Raises:
      InputError: the store cannot be read.
    """
    if not metadata_file.exists():
        return Seen()
    config = mlmd.ConnectionConfig()
    config.sqlite.filename_uri = str(metadata_file)
    config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READONLY
    try:
        store = MetadataStore(config)
        contexts = store.get_contexts_by_type(RUN_CONTEXT)
        known = {kind.name for kind in store.get_artifact_types()}
        examples = (
            store.get_artifacts_by_type(ArtifactType.EXAMPLES) if ArtifactType.EXAMPLES in known else []
        )
    except (StatusError, RuntimeError):
        raise InputError(
            f"{metadata_file}: the metadata store cannot be read; `maskline doctor` says more"
        ) from None
    newest = max(contexts, key=lambda context: context.id, default=None)
    ingested = [e for e in examples if ROWS_READ in e.custom_properties]
    return Seen(
        newest.custom_properties[RUN_INPUTS].string_value if newest else "",
        frozenset((e.properties[SPAN].int_value, e.properties[VERSION].int_value) for e in ingested),
        newest.name if newest else "",
    )
