"""What TFX imports and a run never uses stays out of its process. No TFX, no TensorFlow.

TFX and its companions import notebooks, plots, cloud clients and statistics beside what a run needs: two
fifths of the time that importing takes. Three ways keep that out and change none of their files:

- hidden: a package that its importer can do without (`except ImportError`) is not found while they load;
- deferred: a module is there at once, and is read from disk when anybody asks for the first of its names;
- gathering: a package whose own file collects names from its modules is deferred, the modules are not.
"""

import gc
import io
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from threading import RLock
from types import ModuleType
from typing import Any

# Who asks: Keras (all but the last), Beam (bigquery).
HIDDEN = ("sklearn", "matplotlib", "IPython", "apache_beam.io.gcp.bigquery")
# Beam asks for them, for files in a bucket and jobs in a cloud, and only once: it will not find them later.
CLOUDS = (
    "apache_beam.io.gcp.gcsfilesystem", "apache_beam.io.aws.s3filesystem",
    "google.cloud.dataflow", "google.cloud.pubsub", "apitools",
)  # fmt: skip
# Who asks: TFMA for `stats` and its metrics of texts, Keras 2 for `ndimage` and `linalg`, TensorFlow
# for the last two. It has itself once more within its older self, and both within each other.
DEFERRED = (
    "scipy.stats", "scipy.ndimage", "scipy.linalg", "tensorflow_model_analysis.metrics.bleu",
    "tensorflow_model_analysis.metrics.rouge", "googleapiclient.discovery",
    "tensorflow._api.v2.compat.v1.compat",
)  # fmt: skip
GATHERING = ("tfx.components", "tensorflow_model_analysis.view")
# tfx-bsl 1.21 no longer has it, TFDV imports it, nobody calls it: `tfx.components` stands in for it, too.
ABSENT = "tfx_bsl.arrow.sql_util"
# TFDV says on standard error that it cannot draw in a notebook.
_NO_NOTEBOOK = re.compile(r"Unable to import IPython|TFDV visualization APIs will not function")


class Deferred(ModuleType):
    """A module that is read from disk when somebody asks for a name that it does not have yet.

    `importlib.util.LazyLoader` is no help here: in Python 3.11 the second `import` of a module reads it.
    """

    def __getattr__(self, name: str) -> Any:
        later = self.__spec__ and self.__spec__.loader
        if not (isinstance(later, _Later) and later.gathers and later.imports(self, name)):
            read(self)
        if name not in self.__dict__:
            raise AttributeError(f"module '{self.__name__}' has no attribute '{name}'")
        return self.__dict__[name]


def read(module: ModuleType | None) -> None:
    """Reads a deferred module from disk, if it has not been read."""
    if type(module) is Deferred and module.__spec__ and isinstance(module.__spec__.loader, _Later):
        module.__spec__.loader.read(module)


class _Later:
    """A loader that makes a module and leaves its content for later."""

    def __init__(self, behind: Any, *, gathers: bool) -> None:
        self._behind, self.gathers = behind, gathers
        # Other threads wait; the thread that reads finds the names that are there so far.
        self._lock = RLock()
        self._reading = True  # until the import system has made the module

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return Deferred(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing yet."""
        self._reading = False

    def read(self, module: ModuleType) -> None:
        with self._lock:
            if self._reading or type(module) is not Deferred:
                return
            self._reading = True
            try:
                self._behind.exec_module(module)
                module.__class__ = ModuleType  # type: ignore[assignment]
            finally:
                self._reading = False

    def imports(self, package: ModuleType, name: str) -> bool:
        """Whether a package has a module of this name, which is imported then: `from package import name`."""
        if self._reading or name.startswith("__"):
            return False
        module = f"{package.__name__}.{name}"
        try:
            import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
            return False
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)  # `get_source` and its like, for tracebacks


class _Nothing(Loader):
    """A loader of a module without names."""

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        return None


class LeanFinder:
    """Finds deferred modules; refuses hidden packages until `hides` is false.

    From then on a gathering package is a deferred one like any other.
    """

    def __init__(self, hidden: Sequence[str], deferred: Sequence[str], gathering: Sequence[str]) -> None:
        self.hidden, self.deferred = frozenset(hidden), frozenset(deferred)
        self.gathering = frozenset(gathering)
        self.hides = True

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: Any = None
    ) -> ModuleSpec | None:
        """The place of a deferred module.

        Raises:
          ModuleNotFoundError: the package is hidden.
        """
        if self.hides and not self.hidden.isdisjoint((name, name.split(".")[0])):
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        parent = name.rpartition(".")[0]
        if parent in self.deferred or (parent in self.gathering and not self.hides):
            # A module of a package may rely on what the package's own file does.
            read(sys.modules.get(parent))
        if name not in self.deferred and name not in self.gathering and name != ABSENT:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None:
            return ModuleSpec(name, _Nothing()) if name == ABSENT else None
        spec.loader = _Later(spec.loader, gathers=name in self.gathering)  # type: ignore[assignment]
        return spec


@contextmanager
def lean_imports(*, clouds: bool = False) -> Iterator[None]:
    """Within it, TFX may be imported: without what a run does not use, and without looking for garbage.

    Importing makes millions of objects that stay; looking for garbage among them costs seconds.

    Args:
      clouds: Beam may read from buckets in this process, and start jobs in a cloud.
    """
    finder = LeanFinder(HIDDEN if clouds else (*HIDDEN, *CLOUDS), DEFERRED, GATHERING)
    said = io.StringIO()
    # In place of one of an earlier time, which no longer leaves packages deferred.
    sys.meta_path[:] = [finder, *(other for other in sys.meta_path if not isinstance(other, LeanFinder))]
    gc.disable()
    try:
        with redirect_stderr(said):
            yield
    finally:
        finder.hides = False
        gc.freeze()
        gc.enable()
        lines = said.getvalue().splitlines(keepends=True)
        sys.stderr.write("".join(line for line in lines if not _NO_NOTEBOOK.match(line)))
