"""MkDocs hooks: bring files of the repository that pages link to into the site, and list the decisions.

Pages link to files as they lie in the repository, so that the links also work where the repository is
browsed. A link that leaves `docs/` gets a page of its own in the site: Markdown as it is, and anything else
as a listing. A link to a file that does not exist is left alone, and MkDocs reports it.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

REPOSITORY = Path(__file__).parent.parent
DOCS = "docs"
# Pages that every reader should find, whether another page links to them or not.
ALWAYS = ("README.md", "kubeflow/README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
_LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)#\s]+)")
_CODE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Adds the pages from outside `docs/` and one entry for each decision to the navigation."""
    decisions = sorted(Path(config.docs_dir, "adr").glob("[0-9]*.md"))
    config.nav = [
        *(config.nav or []),
        {"The project": [_uri(name) for name in ALWAYS]},
        {"Decisions": [f"adr/{path.name}" for path in decisions]},
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds a generated page for each file outside `docs/` that is linked to, also from such a page."""
    waiting = [*ALWAYS, *(f"{DOCS}/{page.src_uri}" for page in files.documentation_pages())]
    seen = set(waiting)
    while waiting:
        name = waiting.pop()
        text = (REPOSITORY / name).read_text(encoding="utf-8")
        if not name.startswith(f"{DOCS}/"):
            level = InclusionLevel.INCLUDED if name in ALWAYS else InclusionLevel.NOT_IN_NAV
            files.append(File.generated(config, _uri(name), content=_page(name, text), inclusion=level))
        if not name.endswith(".md"):
            continue
        for target in _LINK.findall(_CODE.sub("", text)):
            linked = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
            if linked not in seen and not linked.startswith(f"{DOCS}/") and (REPOSITORY / linked).is_file():
                seen.add(linked)
                waiting.append(linked)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns links between files of the repository into links between pages of the site."""
    source = _name(page.file.src_uri)

    def in_site(link: re.Match[str]) -> str:
        linked = posixpath.normpath(posixpath.join(posixpath.dirname(source), link[0]))
        target = linked.removeprefix(f"{DOCS}/") if linked.startswith(f"{DOCS}/") else _uri(linked)
        if files.get_file_from_path(target) is None:
            return link[0]
        return posixpath.relpath(target, posixpath.dirname(page.file.src_uri) or ".")

    return _LINK.sub(in_site, markdown)


_NAMES: dict[str, str] = {}


def _uri(name: str) -> str:
    """The page of a file outside `docs/`. In lower case, since MkDocs takes README for a folder's index."""
    uri = f"repository/{name.lower()}" + ("" if name.endswith(".md") else ".md")
    _NAMES[uri] = name
    return uri


def _name(uri: str) -> str:
    return _NAMES.get(uri, f"{DOCS}/{uri}")


def _page(name: str, text: str) -> str:
    if name.endswith(".md"):
        return text
    language = {".yaml": "yaml", ".py": "python", ".toml": "toml"}.get(Path(name).suffix, "text")
    return f"# {name}\n\n````{language}\n{text}\n````\n"
