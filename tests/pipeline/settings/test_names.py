"""Settings keep working under the names that they had."""

import pytest

from maskline.components.evaluation.settings import EvaluationSettings
from maskline.components.release_gate.settings import ReleaseGateSettings
from maskline.pipeline.settings import fields
from maskline.pipeline.settings.load import load_with_sources
from maskline.transform.errors import InputError
from maskline.transform.settings import Section

OLD = {
    "gate.max_drift=0.25": ("data_gate.max_drift", 0.25),
    "gate.severity.drift=warn": ("data_gate.severity.drift", "warn"),
    "checks.memory_mb=77": ("model_checks.memory_mb", 77),
    "evaluation.min_accuracy=0.25": ("release_gate.min_accuracy", 0.25),
    "evaluation.require=better": ("release_gate.require", "better"),
    "evaluation.margin=0.25": ("release_gate.margin", 0.25),
    "evaluation.slice_margin=0.25": ("release_gate.slice_margin", 0.25),
    "evaluation.confidence=0.75": ("release_gate.confidence", 0.75),
    "evaluation.min_slice_rows=7": ("release_gate.min_slice_rows", 7),
}


@pytest.mark.parametrize("override", OLD)
def test_an_old_name_means_what_it_meant(elsewhere, override):
    name, value = OLD[override]
    key, _, text = override.partition("=")
    nested = text
    for part in reversed(key.split(".")):
        nested = f"{{{part}: {nested}}}"
    (elsewhere / "old.yaml").write_text(nested)
    for loaded in (load_with_sources(overrides=[override]), load_with_sources(elsewhere / "old.yaml")):
        found = loaded.settings
        for part in name.split("."):
            found = getattr(found, part)
        assert found == value
        [notice] = loaded.notices
        old, new = ".".join(key.split(".")[:2]), ".".join(name.split(".")[:2])
        assert notice.startswith(
            (f"{old} is called {new} now (", f"{key.split('.')[0]} is called {new.split('.')[0]} now (")
        )


def test_every_bar_of_a_release_is_found_under_evaluation_too():
    assert not EvaluationSettings.model_fields.keys() & ReleaseGateSettings.model_fields.keys()


def test_names_of_today_give_no_notice(elsewhere):
    names = ["release_gate.min_accuracy=0.2", "evaluation.pool_window=true", "data_gate.max_drift=0.1"]
    assert load_with_sources(overrides=names).notices == ()


def test_old_and_new_name_may_stand_beside_each_other_but_not_for_one_setting(elsewhere):
    (elsewhere / "both.yaml").write_text("gate: {max_drift: 0.1}\ndata_gate: {max_skew: 0.2}\n")
    gate = load_with_sources(elsewhere / "both.yaml").settings.data_gate
    assert (gate.max_drift, gate.max_skew) == (0.1, 0.2)
    (elsewhere / "both.yaml").write_text("gate: {max_drift: 0.1}\ndata_gate: {max_drift: 0.2}\n")
    with pytest.raises(
        InputError, match=r"both.yaml:2: data_gate.max_drift: stands here and.*at .*both.yaml:1"
    ):
        load_with_sources(elsewhere / "both.yaml")


def test_a_new_name_on_the_command_line_wins_over_an_old_one_in_the_file(elsewhere):
    (elsewhere / "old.yaml").write_text("evaluation: {margin: 0.1}\n")
    assert (
        load_with_sources(elsewhere / "old.yaml", ["release_gate.margin=0.2"]).settings.release_gate.margin
        == 0.2
    )


def sections(section=None):
    from maskline.pipeline.settings.sections import Settings

    section = section or Settings
    yield section
    for info in section.model_fields.values():
        if inner := fields.section_in(info.annotation):
            yield from sections(inner)


def test_every_setting_has_a_description_and_every_number_a_unit():
    for section in sections():
        assert issubclass(section, Section)
        assert section.model_config["frozen"]
        assert section.model_config["extra"] == "forbid"
        for key, info in fields.keys(section).items():
            field = fields.Field((key,), info)
            if fields.is_section(info.annotation):
                continue
            assert field.description, (section, key)
            if "integer" in field.allowed or "number" in field.allowed:
                assert field.unit or key == "span", (section, key)
