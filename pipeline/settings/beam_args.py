"""Which Beam options are refused when the settings are read. No TFX; Beam itself is not imported."""

import difflib
from collections.abc import Sequence

from maskline.transform.shown import shown

# Those that come with Beam 2.77; any other runner is named by its class, such as `package.module.Runner`.
RUNNERS = (
    "BundleBasedDirectRunner", "DataflowRunner", "DirectRunner", "FlinkRunner", "FnApiRunner",
    "InteractiveRunner", "PortableRunner", "PrismRunner", "SparkRunner", "SwitchingDirectRunner",
)  # fmt: skip
LOSING = ("DaskRunner", "RayRunner")  # they drop rows without a word: docs/behind-the-scenes.md
MODES = ("in_memory", "multi_threading", "multi_processing")


def args_problem(args: Sequence[str]) -> tuple[int, str] | None:
    """Says what is wrong with Beam's options, or None.

    Returns:
      the index of the option, and the reason.
    """
    chosen: dict[str, int] = {}
    for index, argument in enumerate(args):
        if problem := _problem(argument, chosen.get("runner")):
            return index, problem
        chosen[argument.partition("=")[0].removeprefix("--")] = index
    return None


def _problem(argument: str, earlier_runner: int | None) -> str | None:
    name, _, value = argument.partition("=")
    if not name.startswith("--") or len(name) < 3 or not argument.isprintable() or " " in name:
        return f"{shown(argument)} is not an option; write --name=value, each option in an entry of its own"
    if name == "--runner":
        if earlier_runner is not None:
            return f"names a runner, as args.{earlier_runner} does; remove one of them"
        return _runner_problem(value)
    if name == "--direct_running_mode" and value not in MODES:
        return f"{shown(value)} is no running mode; allowed are {', '.join(MODES)}"
    if name == "--direct_num_workers" and not (value.isascii() and value.isdecimal()):
        return f"{shown(value)} is not a number of workers; 0 means one for each core"
    return None


def _runner_problem(runner: str) -> str | None:
    if runner.rpartition(".")[2] in LOSING:
        return f"{shown(runner)} loses rows with this version of Beam; use FnApiRunner or a portable runner"
    parts = runner.split(".")
    if runner in RUNNERS or (len(parts) > 1 and all(part.isidentifier() for part in parts)):
        return None
    near = difflib.get_close_matches(runner, RUNNERS, n=1) or ["FnApiRunner"]
    return f"{shown(runner)} is no runner of Beam; did you mean {near[0]}?"
