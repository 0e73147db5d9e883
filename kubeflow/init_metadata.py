"""Makes the metadata store's tables, once, before any node connects: `python init_metadata.py ADDRESS`.

ml-metadata makes them at the first connection, and fails where two connect first at the same time.
"""

import os
import sys

from maskline.pipeline.cluster.metadata import connection
from maskline.pipeline.cluster.store import open_store
from maskline.transform.errors import InputError

if __name__ == "__main__":
    try:
        open_store(connection(sys.argv[1], os.environ), patience=300)
    except InputError as error:
        sys.exit(f"{error}")
    print("the metadata store is ready")
