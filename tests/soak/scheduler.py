"""`maskline schedule` by the simulated clock: python -m tests.soak.scheduler CLOCK CONFIG UNTIL."""

import json
import os
import shutil
import signal
import sys
from datetime import datetime
from pathlib import Path

from maskline.pipeline.schedule.loop import When, run_schedule
from maskline.pipeline.settings.load import load
from tests.soak.clock import Clock

_PACE = 300.0  # simulated seconds in one step of the wait

if __name__ == "__main__":
    clock_file, config, until = Path(sys.argv[1]), Path(sys.argv[2]), datetime.fromisoformat(sys.argv[3])
    clock = Clock(clock_file)
    plan_file = config.parent / "plan.json"

    def follow_plan() -> None:
        """Puts another settings file in place where its time has come."""
        plan = json.loads(plan_file.read_text()) if plan_file.exists() else []
        while plan and clock() >= datetime.fromisoformat(plan[0][0]):
            shutil.copy(config.parent / plan.pop(0)[1], config)
            plan_file.write_text(json.dumps(plan))

    def wait(seconds: float) -> None:
        clock.sleep(_PACE if seconds >= 5 else seconds)
        follow_plan()
        if clock() >= until:
            os.kill(os.getpid(), signal.SIGTERM)

    sys.exit(
        run_schedule(
            lambda: load(config), When(), ["--config", str(config)], say=lambda line: print(line, flush=True),
            clock=clock, wait=wait, program=(sys.executable, "-m", "tests.soak.tick", str(clock_file)),
        )
    )  # fmt: skip
