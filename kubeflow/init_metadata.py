"""Makes the metadata store's tables, once, before any node connects: `python init_metadata.py ADDRESS`."""

import os
import sys

from pipeline.cluster_metadata import connection, create_schema
from transform.errors import InputError

if __name__ == "__main__":
    try:
        create_schema(connection(sys.argv[1], os.environ))
    except InputError as error:
        sys.exit(f"{error}")
    print("the metadata store is ready")
