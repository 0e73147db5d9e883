"""Names what a run depends on besides its data: source and packages. Nothing of TensorFlow."""

import hashlib
from importlib import metadata
from pathlib import Path

from maskline import components, pipeline, trainer, transform

ROOMS = {"transform": transform, "trainer": trainer, "components": components, "pipeline": pipeline}


def source(*rooms: str) -> str:
    """SHA-256 of the files of some rooms and of the packages they run on.

    TFX's cache knows the import path of a function, not the code behind it; this goes into the cache
    key in its place.

    Args:
      rooms: names from `ROOMS`.

    Returns:
      the first 16 hexadecimal digits.
    """
    digest = hashlib.sha256(packages().encode())
    for room in rooms:
        folder = Path(str(ROOMS[room].__file__)).parent
        for file in sorted(folder.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{room}/{file.relative_to(folder)}\0".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def packages() -> str:
    """SHA-256 of the lock; without a checkout, as in an image, of the installed versions."""
    lock = Path(str(pipeline.__file__)).resolve().parent.parent / "requirements.lock"
    if lock.is_file():
        return hashlib.sha256(lock.read_bytes()).hexdigest()
    installed = sorted({f"{d.metadata['Name']}=={d.version}" for d in metadata.distributions()})
    return hashlib.sha256("\n".join(installed).encode()).hexdigest()
