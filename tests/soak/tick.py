"""`maskline tick` by the simulated clock: python -m tests.soak.tick CLOCK tick --config FILE."""

import sys
from pathlib import Path

from maskline.pipeline import signals
from maskline.pipeline.schedule.tick import tick_once
from maskline.pipeline.settings.load import load
from tests.soak.clock import Clock

if __name__ == "__main__":
    signals.heed()
    clock, _, option, config = sys.argv[1:]
    sys.exit(
        tick_once(
            load(Path(config)), [option, config], clock=Clock(Path(clock)), say=lambda s: print(s, flush=True)
        )
    )
