"""Features that hold text: how it is written alike and divided into symbols. No tensors, no files.

`text_graph` does the same to tensors, where a model is asked. Both follow one definition: TensorFlow has no
operation that composes characters, and so text is decomposed (NFD, NFKD), which tables can do exactly.
"""

import re
import unicodedata
from typing import Literal

from maskline.transform.settings import Section, setting

SPACE = "␣"  # stands for white space where each character is a symbol
WHITE = r"[ \t\n\v\f\r]+"  # as `tf.strings.split` sees it; `str.split` knows further spaces


class TextSettings(Section):
    """How the text of features becomes symbols, and where the vocabulary comes from."""

    split: Literal["ids", "words", "characters"] = setting(
        "ids",
        "what the features hold: `ids`, int64 lists; or texts, whose symbols are the `words` between spaces "
        "or the `characters`. A text is a bytes list of one element, or of several that follow each other",
    )
    size: int = setting(
        0,
        "with texts: Transform computes the vocabulary from the train rows, of at most this many symbols; "
        "0: it is `sequence.vocabulary`",
        unit="symbols",
        ge=0,
        le=10_000_000,
    )
    min_count: int = setting(
        1, "how often a symbol must occur to be in a computed vocabulary", unit="times", ge=1, le=10**9
    )
    case: Literal["keep", "fold"] = setting(
        "keep", "`fold`: upper and lower case are the same, as Unicode's case folding says"
    )
    unicode: Literal["keep", "NFD", "NFKD"] = setting(
        "keep",
        "Unicode's normal form that text is brought to: `NFD` makes of each character its parts, as a letter "
        "and an accent; `NFKD` also makes the same of what only looks different, as `ﬁ` and `fi`",
    )

    @property
    def reads_text(self) -> bool:
        """Whether features hold texts."""
        return self.split != "ids"

    def normal(self, text: str) -> str:
        """A text as it is looked up in the vocabulary."""
        if self.unicode != "keep":
            text = unicodedata.normalize(self.unicode, text)
        if self.case == "fold":
            text = text.casefold()
            if self.unicode != "keep":
                text = unicodedata.normalize(self.unicode, text)
        return text

    def symbols(self, text: str) -> list[str]:
        """The symbols of one feature's text, without separators."""
        text = self.normal(text)
        if self.split == "words":
            return [word for word in re.split(WHITE, text) if word]
        return list(re.sub(WHITE, SPACE, text.strip(" \t\n\v\f\r")))

    def joined(self, symbols: list[str]) -> str:
        """A text of these symbols."""
        return (" " if self.split == "words" else "").join(symbols)

    def segments(self, text: str, separator: str) -> list[list[str]]:
        """The symbols of several features' texts with separators between them."""
        normal = self.normal(text)
        if self.split == "characters":
            return [self.symbols(part) for part in normal.split(separator)]
        found: list[list[str]] = [[]]
        for word in self.symbols(normal):
            if word == separator:
                found.append([])
            else:
                found[-1].append(word)
        return found

    def problem(self, symbol: str) -> str | None:
        """Says why no text could hold a symbol of the vocabulary, or None."""
        if (found := self.symbols(symbol)) != [symbol]:
            return f"no text holds it: it is read as {' and '.join(map(repr, found)) or 'nothing'}"
        return None
