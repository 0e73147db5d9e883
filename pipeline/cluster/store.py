"""ml-metadata's client without its faults in PostgreSQL. Imports neither TFX nor TensorFlow.

ml-metadata 1.17.1 lets libpq quote a string and cuts one character off both ends. With a backslash in it
libpq writes ` E'…'`, and the statement that is left is no SQL. JSON in an execution property holds
backslashes as a matter of course, and so does every recorded traceback. Here they are stored as another
character and read back as themselves.

Databases give rows that were asked for by id in an order of their own, and TFX pairs a cached node's
outputs with their names by position: they come here in the order in which they were asked for.
"""

import random
import time
from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from ml_metadata.errors import StatusError
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

# Of Unicode's private use area: no text has it.
_STAND_IN = "\ue05c"


class Store(MetadataStore):
    """MetadataStore for any string, and in a certain order.

    Args:
      config: how to reach the database.
    """

    def __init__(self, config: mlmd.ConnectionConfig) -> None:
        self._stands_in = config.HasField("postgresql")
        super().__init__(config)

    def _call_method(self, method_name: str, request: Message, response: Message) -> None:
        if not self._stands_in:
            super()._call_method(method_name, request, response)
            return
        stored = type(request)()
        stored.CopyFrom(request)  # the caller's own messages stay as they are
        change_strings(stored, lambda text: text.replace("\\", _STAND_IN))
        super()._call_method(method_name, stored, response)
        change_strings(response, lambda text: text.replace(_STAND_IN, "\\"))

    def get_artifacts_by_id(self, artifact_ids: Iterable[int], *options: Any, **more: Any) -> Any:
        """The artifacts, in the order of `artifact_ids`."""
        ids = list(artifact_ids)
        found = {artifact.id: artifact for artifact in super().get_artifacts_by_id(ids, *options, **more)}
        return [found[i] for i in dict.fromkeys(ids) if i in found]


def open_store(config: mlmd.ConnectionConfig, *, patience: float) -> Store:
    """Connects, and waits for a database that is starting or gone for a moment.

    Args:
      config: how to reach the database.
      patience: seconds.

    Raises:
      RuntimeError: it could not be reached in that time; says why.
      StatusError: it could, and the tables could not be made or read.
    """
    until = time.monotonic() + patience
    while True:
        try:
            return Store(config)
        except (RuntimeError, StatusError):
            if time.monotonic() > until:
                raise
            time.sleep(random.uniform(0.5, 2))


def change_strings(message: Message, change: Callable[[str], str]) -> None:
    """Changes every string value in a message, in place; the keys of maps stay.

    Args:
      message: any protocol buffer.
      change: gives the new text.
    """
    for field, value in message.ListFields():
        if field.message_type and field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type:
                for key in value:
                    change_strings(value[key], change)
        elif field.is_repeated:
            for index, item in enumerate(value):
                if field.message_type:
                    change_strings(item, change)
                elif field.type == FieldDescriptor.TYPE_STRING:
                    value[index] = change(item)
        elif field.message_type:
            change_strings(value, change)
        elif field.type == FieldDescriptor.TYPE_STRING:
            setattr(message, field.name, change(value))
