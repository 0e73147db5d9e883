"""Text: written alike and divided into symbols, in a graph as in Python; and its vocabulary."""

import random
import unicodedata

import pytest
import tensorflow as tf
from pydantic import ValidationError

from maskline.transform import sequences
from maskline.transform.features import (
    SequenceSpec,
    make_schema,
    schema_problem,
    text_task_problem,
    tokenize,
)
from maskline.transform.task import TaskSpec
from maskline.transform.text import TextSettings
from maskline.transform.text_graph import TextReader

NORMS = [("keep", "keep"), ("NFD", "keep"), ("NFKD", "fold"), ("keep", "fold"), ("NFD", "fold")]


def spec_of(**text):
    return SequenceSpec(features=("a", "b"), label="c", length=8, text={"size": 9, **text})


def strange_texts():
    """Letters with marks in any order, Hangul, ligatures, spaces of all kinds, and whatever else."""
    rng = random.Random(0)
    every = [chr(c) for c in (*range(1, 0xD800), *range(0xF900, 0x1_2000), *range(0x1D100, 0x1D200))]
    marks = [c for c in every if unicodedata.combining(c)]
    odd = [*"aÄßİςΣſﬁ각힣①Å½   \t\n\u3000ǰ", "\u0345", "é", "e\u0301\u0323", "q\u0307\u0323"]
    texts = ["", "Straße ΑΣ ΐ", "a\u0345\u0301", "\u0301\u0323x", "Ḋ\u0323 한글", "  two   words\t"]
    for _ in range(300):
        texts.append("".join(rng.choice(rng.choice([every, marks, odd])) for _ in range(rng.randint(0, 12))))
    return [text.replace("\ue000", "") for text in texts]


@pytest.mark.parametrize(("unicode", "case"), NORMS)
def test_a_graph_writes_text_as_python_does(unicode, case):
    settings = TextSettings(split="words", unicode=unicode, case=case)
    texts = strange_texts()
    found = TextReader(spec_of(**settings.model_dump(exclude={"size"}))).normal(tf.constant(texts))
    for text, read in zip(texts, found.numpy(), strict=True):
        assert read.decode() == settings.normal(text), (text, ascii(text))


@pytest.mark.parametrize("split", ["words", "characters"])
def test_a_graph_divides_text_as_python_does(split):
    spec = spec_of(split=split, unicode="NFKD", case="fold")
    reader = TextReader(spec)
    texts = [f"{a}{gap}<sep>{gap}{b}" for a, b in zip(strange_texts(), strange_texts()[::-1], strict=True)
             for gap in (" ", "\n ")]  # fmt: skip
    found = sequences.split_text(tf.constant(texts), spec, reader)
    rows = {name: tf.RaggedTensor.from_sparse(part).to_list() for name, part in found.items()}
    for place, text in enumerate(texts):
        segments = spec.text.segments(text, "<sep>")
        assert [[s.decode() for s in rows[name][place]] for name in "ab"] == segments, ascii(text)


def test_texts_of_one_element_or_several():
    lists = tf.ragged.constant([["Two words"], ["Two", "words"], [], ["Two", " "]]).to_sparse()
    for split, symbols in (("words", ["two", "words"]), ("characters", list("two␣words"))):
        spec = spec_of(split=split, case="fold")
        read = tf.RaggedTensor.from_sparse(TextReader(spec).of_lists(lists)).to_list()
        together = symbols if split == "words" else list("twowords")
        assert [[s.decode() for s in row] for row in read][:2] == [symbols, together]
        assert read[2] == []
        assert spec.text.symbols(spec.text.joined(symbols)) == symbols


def test_a_computed_vocabulary_begins_with_symbols_of_its_own():
    spec = SequenceSpec(features=("a",), label="c", text={"split": "words", "size": 5})
    assert spec.vocabulary == ("<pad>", "<sep>", "<unk>")
    assert (spec.size, spec.size_at_most, spec.unknown_id) == (3, 8, 2)
    found = spec.resolved(["red", "green"])
    assert (found.size, found.size_at_most, found.ids["green"]) == (5, 5, 4)
    assert (found.as_set, found.digest) == (spec, spec.digest)
    assert tokenize("red violet", found) == {"a": [3, 2]}
    assert SequenceSpec.of_export(found.model_dump(mode="json")) == found
    schema = make_schema(spec)
    assert schema_problem(schema, spec) is None
    assert "not of type INT" in schema_problem(schema, SequenceSpec(features=("a",), label="c"))


@pytest.mark.parametrize(
    ("update", "text"),
    [
        ({"text": {"size": 5}}, "text.size: features hold ids, not text"),
        ({"text": {"case": "fold"}}, "text.case: features hold ids"),
        ({"text": {"split": "words", "size": 5}, "vocabulary": ("a", "b")}, "vocabulary: is computed"),
        ({"text": {"split": "words", "size": 5, "case": "fold"}, "padding": "<PAD>"},
         "padding: '<PAD>' is written '<pad>' in texts"),
        ({"text": {"split": "words", "case": "fold"}, "vocabulary": (" ", ":", "Red")},
         "symbol 'Red': no text holds it: it is read as 'red'"),
        ({"text": {"split": "characters"}, "vocabulary": (" ", ":", "ab")}, "it is read as 'a' and 'b'"),
    ],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused(update, text):
    with pytest.raises(ValidationError) as refused:
        SequenceSpec(**{"features": ("a",), "label": "c", **update})
    assert text in str(refused.value)


@pytest.mark.parametrize("kind", ["first", "whole"])
def test_answers_are_symbols_of_a_vocabulary_that_is_given(kind):
    given = {"features": ("a",), "label": "c", "task": TaskSpec(kind=kind)}
    computed = SequenceSpec(**given, text={"split": "words", "size": 5})
    assert "give sequence.vocabulary instead" in (text_task_problem(computed) or "")
    named = SequenceSpec(**given, text={"split": "words"}, vocabulary=(" ", ":", "red"))
    assert text_task_problem(named) is None
