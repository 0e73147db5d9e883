"""What can go wrong with a run besides `InputError` and `MachineError` (`maskline.transform.errors`)."""


class RunError(RuntimeError):
    """A run failed: a component raised, its process was killed, or what it released is gone."""


class UnreachableError(RunError):
    """A host does not answer, now."""


class MissingError(RunError):
    """A host knows nothing of what it was asked for."""


class BusyError(RuntimeError):
    """Another process works on the root or on its metadata store. Exit status 4: try again later."""
