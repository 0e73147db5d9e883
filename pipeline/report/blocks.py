"""What a page is made of: sections of figures, tables and words. Plain values, which a template shows."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from maskline.transform.shown import escaped


@dataclass(frozen=True)
class Grid:
    """A table. `numeric` names the columns whose cells are right-aligned, by position."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[int, ...] = ()

    @classmethod
    def of(cls, head: Sequence[str], rows: Sequence[Sequence[object]], numeric: Sequence[int] = ()) -> "Grid":
        """Cells as text, on one line each, with nothing in them that a screen would not show."""
        return cls(tuple(map(plain, head)), tuple(tuple(map(plain, row)) for row in rows), tuple(numeric))


@dataclass(frozen=True)
class Figure:
    """A picture with what it shows in words, and its numbers as a table for who cannot see it.

    `name` is unique on the page.
    """

    name: str
    title: str
    caption: str
    picture: Markup
    numbers: Grid
    wide: bool = False


@dataclass(frozen=True)
class Table:
    """A table that is read as it is; a `folded` one is opened by who wants to know more."""

    title: str
    grid: Grid
    caption: str = ""
    wide: bool = True
    folded: bool = False


@dataclass(frozen=True)
class Words:
    """Paragraphs, or the lines of a list. `kind`: `text`, `list`, `missing`, `bad`, `good` or `open`."""

    lines: tuple[str, ...]
    kind: str = "text"
    title: str = ""

    @classmethod
    def of(cls, *lines: str, kind: str = "text", title: str = "") -> "Words":
        """Lines with nothing in them that a screen would not show."""
        return cls(tuple(map(plain, lines)), kind, title)


@dataclass(frozen=True)
class Document:
    """HTML of a text that was written for people, folded away; `html` is safe to show."""

    title: str
    html: Markup


ReportBlock = Figure | Table | Words | Document


@dataclass
class ReportSection:
    """One heading and what is under it."""

    name: str
    title: str
    blocks: list[ReportBlock] = field(default_factory=list)

    def missing(self, what: str) -> None:
        """Says in its place what this run did not record."""
        self.blocks.append(Words.of(what, kind="missing"))


def plain(value: object) -> str:
    """A value as text: characters that are not seen, or that turn text around, are written as escapes."""
    return escaped(str(value))
