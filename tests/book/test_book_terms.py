"""The glossary's terms in running text."""

import book_terms
import pytest
from docutils import nodes

TERMS = ["batch", "batch discount", "KV cache", "held out", "N+1", "FLOP"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A batch discount applies.", ["batch discount"]),
        ("Batches and a batch.", ["Batches", "batch"]),
        ("the KV cache, kv cache", ["KV cache"]),
        ("of held-out rows", ["held-out"]),
        ("with N+1 spares at 3 FLOP/s", ["N+1", "FLOP"]),
        ("mini-batch, batchwise, FLOPS", []),
    ],
)
def test_terms_are_found_as_they_are_written(text, found):
    assert [match[0] for match in book_terms.pattern(TERMS).finditer(text)] == found


def test_definitions_are_hidden_escaped_and_without_backticks():
    made = book_terms.tips({"about-x": "less than `a` < b & c"})
    assert made == (
        '<div class="llmecon-tip" role="tooltip" id="about-x" hidden>'
        "less than a &lt; b &amp; c</div>"
    )


class FakeApp:
    """As much of Sphinx as linking needs."""

    class builder:  # noqa: N801
        @staticmethod
        def get_relative_uri(page, other):
            return f"../{other}.html"

    class env:  # noqa: N801
        @staticmethod
        def get_domain(name):
            domain = type("Domain", (), {})()
            domain.data = {
                "objects": {
                    ("term", term): ("glossary", f"term-{i}") for i, term in enumerate(TERMS)
                }
            }
            return domain


def linked(*children: nodes.Node) -> list[tuple[str, str]]:
    document = nodes.document(None, None)
    document += nodes.section("", *children)
    book_terms.link_first_uses(FakeApp, document, "chapters/one")
    return [(link.astext(), link["refuri"]) for link in document.findall(nodes.reference)]


def test_only_the_first_use_in_prose_is_linked():
    found = linked(
        nodes.title("", "The batch"),
        nodes.paragraph("", "", nodes.literal("", "batch"), nodes.Text(" is a batch, one batch")),
        nodes.paragraph("", "another batch, a KV cache"),
    )
    assert found == [
        ("batch", "../glossary.html#term-0"),
        ("KV cache", "../glossary.html#term-2"),
    ]


def test_a_term_that_the_author_linked_is_left_alone():
    written = nodes.reference("", "batches", refuri="../glossary.html#term-0", internal=True)
    found = linked(nodes.paragraph("", "", written, nodes.Text(" and the batch")))
    assert found == [("batches", "../glossary.html#term-0")]
