"""Pusher releases what was checked, byte for byte. Its other habits are tested in whole runs."""

from types import SimpleNamespace

import pytest
from tfx.types.standard_artifacts import Model

from maskline.components.pusher import component, manifest
from maskline.components.verdict import Verdict
from maskline.transform.errors import InputError
from maskline.transform.names import Node
from tests.components.pusher.test_serving import saved_model


def test_model_that_changed_after_its_checks_is_not_released(tmp_path, monkeypatch):
    monkeypatch.setattr(component, "publish", lambda path, *_, **__: path)
    exported = saved_model(tmp_path / "model" / "Format-Serving", "first")
    model, facts = Model(), SimpleNamespace(gates={Node.RELEASE_GATE: Verdict(checks=())})
    model.uri = str(tmp_path / "model")
    checked = manifest.digest(exported)

    def publish():
        return component.Executor()._publish_once(model, tmp_path / "serving", facts, checked=checked)

    assert publish() == exported
    data = exported / "variables/variables.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-1] + b"!")
    with pytest.raises(InputError, match=f"{exported}: is damaged: it is not what ModelChecks checked"):
        publish()
