"""Finding a run in the store of a cluster. No pods."""

from pathlib import Path

import pytest
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from maskline.pipeline.registry.lookup import find_run
from maskline.pipeline.settings.load import load
from maskline.transform.errors import InputError


def test_a_cluster_s_store_without_a_run_is_said(tmp_path):
    config = mlmd.ConnectionConfig()
    config.fake_database.SetInParent()
    settings = load(Path("maskline.yaml"), [f"root={tmp_path}"])
    with pytest.raises(InputError, match="the cluster's metadata store holds no run; `maskline kubeflow sub"):
        find_run(settings, store=MetadataStore(config))
