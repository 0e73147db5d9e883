"""Pods that cannot start, for want of an image, a volume or a quota. No TFX, no TensorFlow."""

import re
from collections.abc import Sequence

from maskline.pipeline.cluster.workflow import Pod

# What the kubelet, the scheduler and the API server say, and for how many seconds it may stand. Images are
# asked for again by the kubelet after 10, 20 and 40 seconds; a volume may be being made, and a quota may be
# taken up by pods that are about to end.
_HOPELESS = {
    re.compile(r"^(ErrImage|ImagePull|InvalidImage|ImageInspect|CreateContainer|RunContainer)\w*"): 30.0,
    re.compile(r"persistentvolumeclaims? |PersistentVolumeClaims|volume node affinity"): 120.0,
    re.compile(r"exceeded quota|is forbidden"): 120.0,
}
_USUAL = ("", "PodInitializing", "ContainerCreating")


class WaitingPods:
    """Notes since when pods wait, and for what.

    Args:
      factor: by which the seconds for which a reason may stand are multiplied.
    """

    def __init__(self, factor: float = 1.0) -> None:
        self._factor = factor
        self._since: dict[tuple[str, str], float] = {}

    def look(self, pods: Sequence[Pod], now: float) -> tuple[list[str], str]:
        """Notes what the pods wait for.

        Args:
          pods: of one run.
          now: seconds of a clock that only goes forward.

        Returns:
          what is new, a line for each task and reason; and the line of a pod that will not start, or nothing.
        """
        waiting = {
            (pod.task, _kind(pod.message)): pod
            for pod in pods
            if pod.phase == "Pending" and pod.message not in _USUAL
        }
        self._since = {key: self._since.get(key, now) for key in waiting}
        new = [f"{pod.task}: waits: {_line(pod)}" for key, pod in waiting.items() if self._since[key] == now]
        works = any(pod.phase == "Running" for pod in pods)
        for key, pod in waiting.items():
            for pattern, seconds in _HOPELESS.items():
                # What works now may give back what the quota lacks.
                mends = works and "quota" in pod.message
                long = now - self._since[key] >= seconds * self._factor
                if pattern.search(pod.message) and long and not mends:
                    return new, f"{pod.task}: pod {pod.name}: {_line(pod)}"
        return new, ""


def _kind(message: str) -> str:
    """The same for reasons that take turns: a pull that fails, and the wait before the next one."""
    return "image" if "Image" in message else re.sub(r"\d+", "", message)


def _line(pod: Pod) -> str:
    return " ".join(pod.message.split())
