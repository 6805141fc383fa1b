"""Rents, prices of accelerators and of hosted models."""

import numpy as np
import pandas as pd
import pytest

from llmecon.evidence import sourcing
from llmecon.tables import catalog


def rents() -> dict[str, catalog.Rent]:
    found = {xpu: catalog.rental_price(xpu) for xpu in catalog.ids("xpus")}
    return {xpu: rent for xpu, rent in found.items() if rent is not None}


def test_prices_carry_their_date_and_source() -> None:
    price = catalog.rental_price("h100-sxm")
    assert price is not None
    assert 1.0 < price.usd < 10.0
    assert price.checked
    assert price.month[:2] == "20"
    assert price.source
    assert catalog.rental_price("a17-pro") is None


def test_rents_are_of_one_tier_and_half_year_or_say_that_they_are_not() -> None:
    newest = catalog.table("rental_prices")["month"].max()
    first = pd.Period(newest, "M") - catalog.RENT_MONTHS + 1
    compared = 0
    for xpu, rent in rents().items():
        offers = catalog.rental_offers(xpu)
        assert offers["tier"].nunique() == 1, xpu
        assert set(offers["tier"]) == {rent.tier}
        assert rent.usd == pytest.approx(offers["usd_per_xpu_hour"].median())
        new = all(len(of) == 7 and pd.Period(of, "M") >= first for of in offers["month"])
        assert rent.comparable == (rent.tier == "neocloud" and new), xpu
        assert rent.kind.startswith(rent.tier.replace("-", " "))
        assert ("unchecked" in rent.kind) == (not rent.checked)
        compared += rent.comparable
    assert compared > 12


def test_no_tier_is_used_where_a_better_one_has_offers() -> None:
    frame = catalog.table("rental_prices")
    asked = frame[frame["contract"].isin(["on-demand", "assumption"])]
    for xpu, rent in rents().items():
        tiers = asked.loc[asked["xpu"] == xpu, "tier"]
        assert rent.tier == min(tiers, key=catalog.RENT_TIERS.index), xpu
        assert rent.estimated == (rent.tier in ("assumed", "own-estimate"))


def test_a_provider_counts_once_with_its_newest_price() -> None:
    offers = catalog.rental_offers("h100-sxm")
    assert offers["provider"].is_unique
    assert len(offers) > 4
    every = catalog.table("rental_prices")
    lambda_ = every[(every["xpu"] == "h100-sxm") & (every["provider"] == "Lambda")]
    assert len(lambda_) > 1
    assert set(offers.loc[offers["provider"] == "Lambda", "month"]) == {lambda_["month"].max()}


def test_medians_over_all_kinds_of_clouds_do_not_stand_beside_neoclouds() -> None:
    """An index rises where a general cloud lists another variant."""
    assert "AIMultiple" not in str(catalog.rental_price("h100-sxm"))
    assert "AIMultiple2026" in set(catalog.table("rental_prices")["source"])


def test_no_accelerator_rents_for_more_than_a_better_sibling_unless_it_says_so() -> None:
    frame = catalog.table("xpus").set_index("id")
    # Where a maker gives no rate of its own for fp8, that of bf16 holds.
    fp8 = frame["fp8_tflops"].fillna(frame["bf16_tflops"])
    columns = ["memory_gb", "memory_bandwidth_tb_s", "bf16_tflops", "link_gb_s"]
    sheet = frame[columns].fillna(0.0).assign(fp8=fp8).astype(float)
    known, found = rents(), 0
    for small, rent in known.items():
        named = catalog.cheaper_and_better(small)
        for large, other in known.items():
            same = all(frame.loc[small, of] == frame.loc[large, of] for of in ("vendor", "kind"))
            less, more = sheet.loc[small].to_numpy(), sheet.loc[large].to_numpy()
            better = bool(np.all(more >= less) and np.any(more > less))
            dearer = same and better and rent.usd > other.usd
            assert (large in named) == dearer, (small, large)
            if dearer:
                found += 1
                few = min(rent.offers, other.offers) < 3
                assert few or not (rent.comparable and other.comparable), (small, large)
                assert str(frame.loc[large, "name"]) in sourcing.behind(small).caveat
    assert found < 5
    assert known["a100-sxm-40gb"].usd < known["a100-sxm-80gb"].usd


def test_median_of_the_newest_prices() -> None:
    frame = catalog.table("xpu_prices")
    offers = frame[frame["xpu"] == "h100-sxm"]
    newest = offers[offers["month"] == offers["month"].max()]
    price = catalog.purchase_price("h100-sxm")
    assert price is not None
    assert price.usd == float(np.median(newest["usd"]))


def test_offers_of_hosted_models_are_of_the_newest_reading_and_on_sale() -> None:
    offers = catalog.api_offers()
    assert len(offers) > 100
    assert set(offers["current"]) == {1}
    assert set(offers["kind"]) == {"chat"}
    assert set(offers["month"]) == {catalog.table("api_prices")["month"].max()}


@pytest.mark.parametrize("model", ["llama-3.1-70b", "llama-3.1-405b", "gpt-oss-120b"])
def test_what_is_only_listed_comes_beside_what_is_on_sale(model: str) -> None:
    offers = catalog.api_offers(model)
    listed = catalog.api_offers(model, confirmed=False)
    assert len(offers) > 0
    assert set(offers["id"]) <= set(listed["id"])
    assert set(listed["model"]) == {model}
    assert set(listed["month"]) == set(offers["month"])
    assert listed["ends"].isna().sum() + len(offers["ends"].dropna()) == len(listed)


def test_a_withdrawn_offer_is_neither_on_sale_nor_listed() -> None:
    gone = catalog.table("api_prices").query("id == 'together/llama-3.1-70b'")
    assert not gone.empty
    assert "together/llama-3.1-70b" not in set(catalog.api_offers(None, confirmed=False)["id"])
