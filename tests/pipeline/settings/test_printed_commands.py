"""The commands that runs and gates print work as printed, for data of a user's own."""

import re
import shlex

import click
import pytest

from maskline.components.verdict import Check, Outcome
from maskline.pipeline.cli import cli
from maskline.pipeline.commands import options
from maskline.pipeline.console import Console

pytestmark = pytest.mark.slow  # the data gate imports TFX


def settings_of(command):
    """Parses a printed command as click does, and loads the settings that it would work with."""
    _, *words = shlex.split(command)
    found: click.Command = cli
    while isinstance(found, click.Group):
        found = found.commands[words.pop(0)]
    given = found.make_context(found.name, words).params
    return options.settings_of_root(given["config_file"], given["root"], given.get("overrides", ()))


def test_commands_that_gates_and_runs_print_work_as_printed(remembered, monkeypatch):
    from tfx.types import artifact_utils

    from maskline.components.data_gate import component

    root = remembered.settings.root
    monkeypatch.setattr(artifact_utils, "get_split_uri", lambda *_: f"{root}/artifacts/Split-train")
    commands = []
    for kind in ("drift", "skew", "bad_rows", "lost_rows", "corrupt_file", "empty_split", "new_values"):
        check = Check(kind=kind, name=kind, asked="", measured="", outcome=Outcome.BLOCKED)
        details = component._with_command(check, {"examples": []}, str(root)).details
        commands.append(details[-1].removeprefix("more: "))
    console = Console(remembered.settings)
    commands += [f"{console._command('predict')} {console._example()}", console._command("show")]
    commands.append(f"{console._command('bless')} last --reason 'it is needed'")
    assert len({re.sub(r" .*", "", c.removeprefix("maskline ")) for c in commands}) == 5
    for command in commands:
        assert settings_of(command) == remembered.settings, command
