"""The metadata store of a cluster: how to reach it. Imports neither TFX nor TensorFlow."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from ml_metadata.errors import StatusError
from ml_metadata.proto import metadata_store_pb2 as mlmd

from maskline.pipeline.cluster.store import Store, open_store
from maskline.transform.errors import InputError
from maskline.transform.names import METADATA_PASSWORD, METADATA_USER


def connection(address: str, environment: Mapping[str, str]) -> mlmd.ConnectionConfig:
    """How to reach the store: where it is from the arguments, credentials from a Secret.

    Args:
      address: postgresql://host:port/database, or mysql://….
      environment: holds user and password.

    Raises:
      InputError: of a kind that ml-metadata does not know, or without credentials.
    """
    url, config = urlsplit(address), mlmd.ConnectionConfig()
    if not environment.get(METADATA_USER) or not environment.get(METADATA_PASSWORD):
        raise InputError(f"{METADATA_USER} and {METADATA_PASSWORD} are not set; a Secret holds them")
    if url.username or url.password:
        raise InputError("the metadata store's address holds credentials; they belong in a Secret")
    host, database = str(url.hostname), url.path.strip("/")
    if url.scheme == "postgresql":
        config.postgresql.host, config.postgresql.port = host, str(url.port or 5432)
        config.postgresql.dbname = database
        config.postgresql.user, config.postgresql.password = (
            environment[METADATA_USER],
            environment[METADATA_PASSWORD],
        )
    elif url.scheme == "mysql":
        config.mysql.host, config.mysql.port, config.mysql.database = host, url.port or 3306, database
        config.mysql.user, config.mysql.password = environment[METADATA_USER], environment[METADATA_PASSWORD]
    else:
        raise InputError(f"metadata store '{address}': neither postgresql:// nor mysql://")
    return config


def reach(address: str, environment: Mapping[str, str]) -> Store:
    """Opens the store, for a person who waits.

    Args:
      address: as in `connection`.
      environment: as in `connection`.

    Raises:
      InputError: as in `connection`, or the store cannot be reached within ten seconds.
    """
    try:
        return open_store(connection(address, environment), patience=10)
    except (RuntimeError, StatusError) as error:
        why = " ".join(str(error).split())
        raise InputError(
            f"{address}: the metadata store cannot be reached; check the address, user and password ({why})"
        ) from None
