"""Writes a bill of materials (SBOM, CycloneDX 1.6) of each lock, and of an image whose root is mounted.

Usage: python -m tests.stack.sbom FOLDER [ROOT]

FOLDER gets `current.cdx.json` and so on, and with ROOT, the image's, `image.cdx.json`: the Python packages in
it and Debian's.
"""

import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.utils import canonicalize_name

from tests.stack.licences import read_table
from tests.stack.locked import NAMES, locked

LICENCES = read_table()


def of_lock(lock: str) -> Iterator[Component]:
    """Each package of a lock; it names the hashes of all files from which the package may be installed."""
    for package in locked(lock):
        yield _python(package.name, package.version, package.hashes)


def of_image(root: Path) -> Iterator[Component]:
    """What is installed in an image: the Python packages of its environment, and Debian's."""
    [packages] = (root / "opt/venv/lib").glob("python3*/site-packages")
    for found in metadata.distributions(path=[str(packages)]):
        yield _python(canonicalize_name(found.metadata["Name"]), found.version)
    for entry in (root / "var/lib/dpkg/status").read_text().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in entry.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Status", "").endswith(" installed"):
            name, version = fields["Package"], fields["Version"]
            purl = PackageURL("deb", "debian", name, version, {"arch": fields["Architecture"]})
            yield Component(name=name, version=version, purl=purl, bom_ref=str(purl))


def document(components: Iterable[Component], of: str) -> str:
    """The bill as JSON."""
    bom = Bom(components=components)
    bom.metadata.component = Component(
        name=f"maskline {of}", version=metadata.version("maskline"), type=ComponentType.APPLICATION
    )
    bom.register_dependency(bom.metadata.component, bom.components)
    return JsonV1Dot6(bom).output_as_string(indent=1)


def _python(name: str, version: str, hashes: Iterable[str] = ()) -> Component:
    purl = PackageURL("pypi", None, name, version)
    known = LICENCES.get(f"{name}=={version}")
    return Component(
        name=name,
        version=version,
        purl=purl,
        bom_ref=str(purl),
        licenses=[LicenseFactory().make_from_string(known.licence)] if known else [],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=content) for content in hashes],
    )


if __name__ == "__main__":
    folder, *root = map(Path, sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    bills = [(lock, of_lock(lock)) for lock in NAMES] + [("image", of_image(place)) for place in root]
    for name, components in bills:
        (folder / f"{name}.cdx.json").write_text(document(components, name))
        print(folder / f"{name}.cdx.json")
