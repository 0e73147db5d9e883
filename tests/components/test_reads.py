from maskline.components.reads import ReadsPart, reads_of


class Part(ReadsPart):
    READS = {"examples": ("Split-eval",), "model": ()}


class Named:
    READS = {"examples": ()}


def test_declared_reads_are_taken_from_the_base_and_from_no_attribute_of_that_name():
    assert reads_of(Part) == {"examples": ("Split-eval",), "model": ()}
    assert reads_of(Named) == {}
    assert reads_of(ReadsPart) == {}
