"""Follows a run on a cluster: one line for each change of a task, and the outcome as an exit status."""

import time
from collections.abc import Callable
from typing import Any

from maskline.pipeline.cluster.client import Client
from maskline.pipeline.cluster.outcome import ENDED, Told, tell_end
from maskline.pipeline.cluster.waiting import WaitingPods
from maskline.pipeline.cluster.workflow import pods_of
from maskline.pipeline.errors import UnreachableError
from maskline.transform.errors import InputError
from maskline.transform.names import Exit

# Between two looks at what pods wait for, which needs the whole of Argo's record.
_SECONDS = 10.0


def follow(
    client: Client,
    run: str,
    say: Callable[[str], None],
    *,
    seconds: float = 3.0,
    patience: float = 600.0,
    waiting: WaitingPods | None = None,
) -> Exit:
    """Waits for a run to end. One whose pods cannot start is terminated.

    Args:
      client: the host.
      run: the run's id.
      say: takes one line.
      seconds: between two looks.
      patience: seconds for which the host may be out of reach; the run goes on meanwhile.
      waiting: judges pods that wait.

    Returns:
      0 where it succeeded, 3 where a gate blocked, 1 for anything else.

    Raises:
      InputError: a node refused what the run was given, as data that are not there; or a pod cannot start,
        as for an image that is not there.
      UnreachableError: the host was out of reach for longer than `patience`.
    """
    told, waiting = Told(say), waiting or WaitingPods()
    looked = time.monotonic()
    while True:
        state = _look(client, run, say, seconds, patience)
        told.tell(state)
        if state.state in ENDED:
            return tell_end(client, state, say)
        if (now := time.monotonic()) - looked >= min(_SECONDS, 3 * seconds):
            looked = now
            new, hopeless = waiting.look(pods_of(client.workflow(run)), now)
            for line in new:
                say(line)
            if hopeless:
                client.terminate(run)
                raise InputError(f"{hopeless}; run {run} was terminated")
        time.sleep(seconds)


def _look(client: Client, run: str, say: Callable[[str], None], seconds: float, patience: float) -> Any:
    """The run as it stands. A host out of reach, as behind a connection that broke, is asked again."""
    until = time.monotonic() + patience
    told = False
    while True:
        try:
            return client.get(run)
        except UnreachableError as error:
            if time.monotonic() > until:
                raise
            if not told:
                say(f"{error}; asking again for {patience:.0f} s, the run goes on")
            told = True
            time.sleep(seconds)
