"""Tables as HTML and as scripts."""

import json
import re

import book_tables
import pytest
from bs4 import BeautifulSoup

from llmecon.publishing.build import appendices

TABLES = appendices.tables()


def small(**changes) -> appendices.Table:
    fields = {
        "name": "birds",
        "title": "What sings",
        "about": "",
        "listing": "",
        "described": {"low": "lowest `tone` [Hz]"},
        "columns": ("id", "low", "source", "checked"),
        "rows": (("wren & co", "2e3", "A2020;B2021", "true"), ("crow", "", "A2020", "false")),
    }
    return appendices.Table(**fields | changes)


def unpacked(column):
    """As `tables.js` reads it."""
    if isinstance(column, str):
        return column.split("\t")
    distinct = column["of"].split("\t")
    return [distinct[int(code, 36)] for code in column["at"].split(" ")]


def test_rows_show_sources_doubts_and_kinds():
    page = BeautifulSoup(book_tables.markup(small(), {}, "../"), "html.parser")
    wren, crow = page.select("tbody tr")
    assert [cell.get_text() for cell in wren("td")] == ["wren & co", "2e3", "A2020; B2021"]
    assert [a["href"] for a in wren("a")] == [
        "../references.html#ref-A2020",
        "../references.html#ref-B2021",
    ]
    assert "unchecked" not in wren.get_text()
    assert "unchecked" in crow.get_text()
    assert wren["id"] == "row-wren & co"
    assert "number" in wren("td")[1]["class"]
    described = page.find("th", string="low")["aria-describedby"]
    assert page.find(id=described).get_text() == "lowest tone [Hz]"
    assert page.find(role="status").get_text() == "2 rows, 1 unchecked"


def test_only_the_first_row_of_an_id_is_its_anchor():
    twice = small(rows=(("wren", "1", "A", "true"), ("wren", "2", "A", "true")))
    page = BeautifulSoup(book_tables.markup(twice, {}, ""), "html.parser")
    assert [row.get("id") for row in page.select("tbody tr")] == ["row-wren", None]


def test_a_table_that_says_nothing_of_checks_claims_none():
    plain = small(columns=("id", "low"), rows=(("wren", "1"),))
    assert "checked" not in book_tables.markup(plain, {}, "")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_script_holds_every_cell_and_stays_small(table):
    script = book_tables.packed(table, book_tables.links(table))
    whole = json.loads(script.partition(" = ")[2].rstrip(";\n"))
    columns = [unpacked(column) for column in whole["cells"]]
    assert list(zip(*columns, strict=True)) == list(table.rows)
    assert len(script.encode()) < 350_000
    assert len(book_tables.markup(table, {}, "../").encode()) < 100_000


def test_ids_lead_to_the_table_that_lists_them():
    (measured,) = [table for table in TABLES if table.name == "measured_serving"]
    links = book_tables.links(measured)
    assert {column: table for column, (table, _) in links.items()} == {
        "model": "models",
        "xpu": "xpus",
    }
    models = {row[0] for table in TABLES if table.name == "models" for row in table.rows}
    assert set(links["model"][1]) <= models
    page = book_tables.markup(measured, links, "../")
    assert re.search(r'<a href="xpus\.html#row-b200">b200</a>', page)
