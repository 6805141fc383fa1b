"""Bibliography keys as links, and how the references show them."""

import book_citations
import pytest
import source_links

KNOWN = {"Little1961", "AIConfigurator", "Kwon2023"}


def tabled(*cells: str) -> str:
    row = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<div class="llmecon-tabled"><table><tr>{row}</tr></table></div>'


def test_keys_in_a_table_lead_to_their_references():
    body = source_links.link_cells(
        tabled("H100", "Little1961, AIConfigurator", "Kwon2023, unchecked"), KNOWN, "../r.html"
    )
    links = [f'<a href="../r.html#ref-{key}">{key}</a>' for key in sorted(KNOWN)]
    assert body == tabled("H100", f"{links[2]}, {links[0]}", f"{links[1]}, unchecked")


def test_what_is_no_list_of_keys_stays_as_it_is():
    prose = tabled("after Little1961", "assumed", "Little1961, p. 3", "unchecked")
    assert source_links.link_cells(prose, KNOWN, "r.html") == prose
    outside = "<table><tr><td>Little1961</td></tr></table>"
    assert source_links.link_cells(outside, KNOWN, "r.html") == outside


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (r"\$2 H100s", "$2 H100s"),
        (r"US\$20,000 at 5\% in Q\&A", "US$20,000 at 5% in Q&A"),
        (r"a \ b", r"a \ b"),
    ],
)
def test_references_show_no_escapes(written, shown):
    assert book_citations.without_escapes(written) == shown
