"""What figures say about where their numbers come from, against the tables themselves."""

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from llmecon.errors import InputError
from llmecon.publishing import charts, scenario
from llmecon.publishing.prose import provenance, results
from llmecon.tables import catalog


def text(data: provenance.Provenance) -> str:
    return " ".join(BeautifulSoup(provenance.markup(data), "html.parser").get_text(" ").split())


def keys(data: provenance.Provenance) -> list[str]:
    found = BeautifulSoup(provenance.markup(data), "html.parser").select(".llmecon-source")
    return [key.text for key in found]


def test_a_row_brings_its_name_and_its_sources():
    of = provenance.of(models="llama-3.1-70b")
    assert [row.name for row in of.rows] == ["Llama 3.1 70B"]
    assert keys(of) == catalog.row("models", "llama-3.1-70b")["source"].split(";")


def test_exactly_the_rows_that_are_not_checked_are_marked():
    xpus = catalog.table("xpus")
    for checked, frame in xpus.groupby("checked"):
        marked = "unchecked" in text(provenance.of(xpus=[frame["id"].iloc[0]]))
        assert marked is not bool(checked)


def test_rows_are_asked_for_by_id_frame_mapping_or_all():
    prices = catalog.table("rental_prices")
    some = prices[prices["month"] > "2025"]
    assert [row.line for row in provenance.of(rental_prices=some).rows] == list(some.index)
    assert len(provenance.of(rental_prices=all).rows) == len(prices)
    grid = provenance.of(grid={"id": "usa", "preferred": 1})
    assert len(grid.rows) == 1
    assert provenance.of(rental_prices=prices.head(0)).sizes == ()


def test_a_rent_names_the_very_offers_it_was_taken_from():
    of = provenance.of(rental_prices=catalog.rental_offers("h100-sxm"))
    offers = catalog.table("rental_prices").loc[[row.line for row in of.rows]]
    assert offers["usd_per_xpu_hour"].median() == catalog.rental_price("h100-sxm").usd
    assert set(offers["xpu"]) == {"h100-sxm"}


def test_joined_records_name_what_they_share_once():
    one = provenance.of(parameters=False, xpus="h100-sxm")
    both = one | provenance.of(parameters=False, xpus=["h100-sxm", "b200"])
    assert [row.key for row in both.rows] == ["h100-sxm", "b200"]
    assert not both.parameters
    assert (one | provenance.of()).parameters


def test_many_rows_are_counted_with_all_their_sources():
    of = provenance.of(xpus=all)
    table = catalog.table("xpus")
    assert f"all {len(table)} rows" in text(of)
    assert f"{int((~table['checked']).sum())} unchecked" in text(of)
    every = {key for cell in table["source"] for key in cell.split(";")}
    assert set(keys(of)) < every
    assert f"and {len(every) - len(keys(of))} more" in text(of)
    few = provenance.of(matmul_rates=all)
    rates = catalog.table("matmul_rates")["source"]
    assert set(keys(few)) == {key for cell in rates for key in cell.split(";")}


def test_tables_without_sources_are_named(monkeypatch):
    of = provenance.of(parameters=False, efficiency_effects=all)
    assert "efficiency_effects" in text(of)
    assert keys(of) == []


@pytest.mark.parametrize(
    "wanted", [{"xpus": "h101"}, {"grid": {"id": "nowhere"}}, {"nothing": all}]
)
def test_what_is_not_in_the_tables_is_refused(wanted):
    with pytest.raises(InputError):
        provenance.of(**wanted)


def test_parameters_and_version_are_shown(monkeypatch):
    monkeypatch.setattr(scenario, "checked", lambda: {"deadline_days": 30.0, "note": "<b>"})
    assert "deadline_days 30 note <b>" in text(provenance.of())
    assert "deadline_days" not in text(provenance.of(parameters=False))
    assert "llmecon 0." in text(provenance.of())


def test_figures_and_tables_carry_their_provenance(capsys):
    frame = pd.DataFrame({"n": ["a, b", "c"], "v": [1.0, 2.0]})
    of = provenance.of(xpus="h100-sxm")
    chart = charts.bars(frame, "n", charts.Axis("v", "h"), charts.Labels("t"))
    figure = BeautifulSoup(charts.show(chart, "words", of).markup, "html.parser")
    assert figure.select("figure > .llmecon-sources .llmecon-source")


def test_a_table_can_be_downloaded_as_it_is_shown(monkeypatch):
    shown = []
    monkeypatch.setattr(results, "display", lambda bundle, **_: shown.append(bundle))
    frame = pd.DataFrame({"Name": ["a, b", "Zürich"], "USD": ["1.50", "–"]})
    results.table(frame, "Prices, by name", data=provenance.of(xpus="h100-sxm"))
    soup = BeautifulSoup(shown[0]["text/html"], "html.parser")
    link = soup.select_one("a.llmecon-csv")
    assert link["download"] == "prices-by-name.csv"
    pd.testing.assert_frame_equal(
        pd.read_csv(_decoded(link["href"]), dtype=str), frame, check_dtype=False
    )
    assert soup.select(".llmecon-sources .llmecon-source")


def _decoded(address: str):
    import io
    from urllib.parse import unquote

    return io.StringIO(unquote(address.partition(",")[2]))
