"""What a choice of accelerator rests on: against the tables themselves."""

import math

import pytest

from llmecon.errors import InputError
from llmecon.evidence import sourcing
from llmecon.evidence.sourcing import MEASURED, Use
from llmecon.tables import catalog

FIRM, READ, GUESSED = "h100-sxm", "mi300x", "mi355x"


@pytest.mark.parametrize("use", MEASURED)
def test_evidence_is_what_the_tables_say(use: Use) -> None:
    frame, tests = catalog.table("xpus").set_index("id"), catalog.table(MEASURED[use])
    counted = 0
    for xpu in catalog.ids("xpus"):
        of = sourcing.behind(xpu, use)
        offers = catalog.rental_offers(xpu)
        assert of.name == frame.loc[xpu, "name"]
        assert of.datasheet == frame.loc[xpu, "checked"]
        read = (
            len(offers) > 0
            and offers["checked"].all()
            and "OwnEstimate" not in set(offers["source"])
        )
        assert of.priced == (bool(read) and of.rent is not None and not of.rent.estimated), xpu
        rows = tests[tests["xpu"] == xpu]
        good = rows if "suspect" not in rows else rows[rows["suspect"].isna()]
        assert of.measured == len(good)
        assert of.read == (of.datasheet and of.priced)
        assert of.firm == (of.read and of.measured > 0)
        counted += of.firm
        if not of.read or not of.measured:
            assert of.caveat
    assert counted > 0


def test_caveats_name_what_is_missing() -> None:
    assert sourcing.behind(FIRM).caveat == ""
    assert sourcing.behind(READ).caveats[-1] == "no load test of it is known here"
    guessed = sourcing.behind(GUESSED)
    assert guessed.caveats == (
        f"its rent is our own estimate of {guessed.rent.month}",  # type: ignore[union-attr]
        "its datasheet is unchecked",
        "no load test of it is known here",
    )
    assert guessed.caveat == f"{guessed.caveats[0]}, {guessed.caveats[1]} and {guessed.caveats[2]}"
    assert "a general cloud's of 2025, unread in its source" in sourcing.behind("tpu-v5e").caveat
    assert "a single offer of 2026-05" in sourcing.behind("mi325x").caveat
    assert "an assumption of 2025-02" in sourcing.behind("h800-sxm").caveat
    assert "nobody has read its price" in sourcing.behind("groq-lpu").caveat


def test_a_mark_says_the_same_in_a_title() -> None:
    assert sourcing.behind(FIRM).mark == ""
    assert sourcing.behind(READ).mark == " (untested)"
    assert sourcing.behind(GUESSED).marked == "MI355X (unread, untested)"


def test_a_price_of_ones_own_needs_no_source() -> None:
    own = sourcing.behind(GUESSED, given=True)
    assert own.priced
    assert "rent" not in own.caveat
    assert "datasheet" in own.caveat


def test_what_is_bought_is_judged_by_its_price_to_buy() -> None:
    assert sourcing.bought(FIRM).firm
    estimated = sourcing.bought(READ)
    assert not estimated.priced
    assert "nobody has read its price" in estimated.caveat


def test_rankings_name_the_cheapest_of_what_is_known() -> None:
    costs = {GUESSED: 1.0, READ: 2.0, FIRM: 3.0, "h200-sxm": math.inf}
    assert sourcing.rankings(costs) == {"all": GUESSED, "read": READ, "firm": FIRM}
    assert sourcing.rankings({GUESSED: 1.0}) == {"all": GUESSED, "read": None, "firm": None}
    assert sourcing.rankings({FIRM: math.inf}) == {"all": None, "read": None, "firm": None}
    # With a price of the reader's own, MI355X still has an unchecked datasheet.
    assert sourcing.rankings(costs, given=[GUESSED])["read"] == READ
    assert sourcing.rankings({FIRM: 3.0, "b200": 2.0}) == dict.fromkeys(
        ("all", "read", "firm"), "b200"
    )


def test_an_unknown_accelerator_is_refused() -> None:
    with pytest.raises(InputError, match="not in the table xpus"):
        sourcing.behind("mi999x")


def test_a_ranking_names_what_its_winner_rests_on_and_the_firm_one_beside_it() -> None:
    said = sourcing.beside({"mi355x": 1.0, "h100-sxm": 2.5, "b200": float("inf")})
    assert said.startswith("but its rent is our own estimate")
    assert said.endswith("H100 SXM5 80GB is cheapest, at 2.5 times as much")
    assert sourcing.beside({"mi355x": 3.0, "h100-sxm": 2.5}) == ""
    assert "none that was read" in sourcing.beside({"mi355x": 1.0})
    assert sourcing.beside({"mi355x": float("inf")}) == ""
