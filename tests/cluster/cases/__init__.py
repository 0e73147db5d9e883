"""The rows of the table. Each says what it saw, and raises `AssertionError` where that is wrong."""

from collections.abc import Callable

from tests.cluster.cases import endings, runs, standing, teams, troubles
from tests.cluster.site import Site

Case = Callable[[Site], str]

CASES: dict[str, Case] = {
    "default pipeline, new root": runs.released,
    "the same again": runs.cached,
    "one pod for each node": runs.by_nodes,
    "new span, rolling window": runs.window,
    "artifacts in a bucket": runs.bucket,
    "data gate blocks": endings.data_gate,
    "release gate does not bless": endings.release_gate,
    "model check fails": endings.model_checks,
    "data that are not there": endings.missing,
    "parameter of the wrong type": endings.wrong_parameter,
    "image that cannot be pulled": endings.no_image,
    "volume that does not bind": endings.no_volume,
    "quota that is full": endings.no_quota,
    "wrong token": endings.wrong_token,
    "node's pod deleted in the middle": troubles.deleted,
    "machine drained": troubles.drained,
    "out of memory, no retries": troubles.out_of_memory,
    "retries used up": troubles.used_up,
    "metadata database restarted": troubles.database_restarted,
    "API server restarted": troubles.api_restarted,
    "recurring run": standing.recurring,
    "tick as a CronJob": standing.tick,
    "two namespaces with one backend": teams.two_namespaces,
    "security": standing.secure,
    "shell pod": standing.shell,
}
# Those that do something to what all runs share, or look back at all of them: when the others are over.
ALONE = {
    endings.no_quota, troubles.database_restarted, troubles.api_restarted, standing.secure, standing.shell,
}  # fmt: skip
