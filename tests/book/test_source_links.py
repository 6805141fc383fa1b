"""Bibliography keys as links, and how the references show them."""

from pathlib import Path

import book_citations
import pytest
import source_links
from bs4 import BeautifulSoup
from sphinx.application import Sphinx

from llmecon.publishing import prose

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


def test_a_key_in_a_table_leads_to_an_entry_that_shows_it(tmp_path: Path):
    (tmp_path / "conf.py").write_text(
        "from book_citations import setup\n"
        "extensions = ['sphinx.ext.autodoc', 'sphinxcontrib.bibtex', 'source_links']\n"
        "bibtex_bibfiles = ['references.bib']\n"
    )
    (tmp_path / "references.bib").write_text(
        "@misc{Price2025, author={A. Nobody}, title={{\\$2 H100s}}, year={2025}}\n", "utf-8"
    )
    (tmp_path / "references.rst").write_text("References\n===\n\n.. bibliography::\n   :all:\n")
    table = tabled("H100", "Price2025, unchecked")
    (tmp_path / "index.rst").write_text(
        f"Index\n=====\n\n.. raw:: html\n\n   {table}\n\n.. toctree::\n\n   references\n   prose\n"
    )
    said = f"so it is {prose.cited('Price2025')}"
    (tmp_path / "prose.rst").write_text(f"Prose\n=====\n\n.. raw:: html\n\n   {said}\n")
    site = tmp_path / "site"
    app = Sphinx(tmp_path, tmp_path, site, tmp_path / "trees", "html", status=None)
    app.build()
    index, references, page = (
        BeautifulSoup((site / f"{name}.html").read_text("utf-8"), "html.parser")
        for name in ("index", "references", "prose")
    )
    (link,) = index.select(".llmecon-tabled a")
    assert (link.text, link["href"]) == ("Price2025", "references.html#ref-Price2025")
    (cited,) = page.find_all("a", string="Price2025")
    assert cited["href"] == link["href"]
    anchor = references.find(id="ref-Price2025")
    assert anchor is not None
    entry = anchor.find_parent("div", class_="citation") or anchor
    assert entry.select_one(".llmecon-cited").text == "Price2025"
    assert "$2 H100s" in entry.text
    assert "\\" not in entry.text
