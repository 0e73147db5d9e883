"""What can go wrong with a run besides the user's input (`maskline.transform.errors.InputError`)."""


class RunError(RuntimeError):
    """A run failed: a component raised, its process was killed, or what it released is gone."""


class UnreachableError(RunError):
    """A host does not answer, now."""


class BusyError(RuntimeError):
    """Another run works on the root."""
