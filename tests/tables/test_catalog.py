"""Look-ups: units, stand-ins for what is not published, and helpful refusals."""

import jax
import numpy as np
import pandas as pd
import pytest

from llmecon.errors import InputError
from llmecon.evidence import sourcing
from llmecon.specs import JOULES_PER_KWH
from llmecon.tables import catalog
from tests.problems import all_finite


def test_units_are_si() -> None:
    """NVIDIA's H100 SXM datasheet: 989.4 TFLOP/s, 80 GB, 3.35 TB/s, 900 GB/s both ways, 700 W."""
    h100 = catalog.xpu("h100-sxm")
    assert h100.bf16_flops == pytest.approx(989.4e12)
    assert h100.fp8_flops == pytest.approx(1979e12)
    assert h100.memory == pytest.approx(80 * 2**30)
    assert h100.memory_bandwidth == pytest.approx(3.35e12)
    assert h100.link_bandwidth == pytest.approx(450e9)
    assert h100.tdp == 700.0


def test_missing_precision_is_filled_and_marked() -> None:
    a100 = catalog.xpu("a100-sxm-80gb")
    assert (a100.fp8_native, a100.fp4_native) == (0.0, 0.0)
    assert a100.fp8_flops == a100.fp4_flops == a100.bf16_flops


def test_attained_matrix_rates_are_means_over_precisions() -> None:
    """MI300X: AMD's own 708 and 1273 of 1307.4 and 2614.9 TFLOP/s, and a third party's 668.4."""
    expected = (708 / 1307.4 + 668.4 / 1307.4 + 1273 / 2614.9) / 3
    assert catalog.xpu("mi300x").matmul_share == pytest.approx(expected, rel=1e-9)
    # Nobody timed an L4: it gets what is typical.
    shares = catalog.xpus().matmul_share
    assert 0.7 < float(catalog.xpu("l4").matmul_share) < 0.8
    assert bool(((shares > 0.4) & (shares < 1.0)).all())


def test_device_without_links_stands_alone() -> None:
    assert catalog.xpu("apple-m3-max").link_domain == 1.0


@pytest.mark.parametrize("record", [catalog.llms, catalog.xpus])
def test_catalogue_stacks_into_finite_numbers(record: object) -> None:
    everything = record()  # type: ignore[operator]
    all_finite(everything)
    counts = {leaf.shape[0] for leaf in jax.tree.leaves(everything)}
    assert len(counts) == 1


def test_stacking_keeps_the_order() -> None:
    stacked = catalog.xpus(["v100-sxm", "h100-sxm"])
    np.testing.assert_allclose(stacked.memory, [32 * 2**30, 80 * 2**30])


@pytest.mark.parametrize(
    ("look_up", "typed", "meant"),
    [
        (catalog.llm, "llama3.1-70b", "llama-3.1-70b"),
        (catalog.llm, "Llama-3.1-405B", "llama-3.1-405b"),
        (catalog.xpu, "h100", "h100-sxm"),
        (catalog.workload, "azure-chat", "azure-chat-2023"),
        (catalog.site, "us-cal", "us-ca"),
    ],
)
def test_misspelt_id_gets_one_helpful_line(look_up: object, typed: str, meant: str) -> None:
    with pytest.raises(InputError) as refused:
        look_up(typed)  # type: ignore[operator]
    message = str(refused.value)
    assert "\n" not in message
    assert typed in message
    assert meant in message
    assert "llmecon list" in message


def test_unknown_table_lists_the_tables() -> None:
    with pytest.raises(InputError, match=r"no table 'gpus'.*xpus"):
        catalog.table("gpus")


def test_published_request_lengths() -> None:
    """Azure's 2023 conversation trace: 1154.7 tokens in, 211.1 out on average."""
    chat = catalog.workload("azure-chat-2023")
    assert chat.prompt_tokens == pytest.approx(1154.7)
    assert chat.output_tokens == pytest.approx(211.1)
    assert chat.cached_fraction == 0.0
    assert catalog.workload("sharegpt-vllm").interarrival_cv == 1.0


def test_published_latency_targets() -> None:
    """MLPerf Inference, Llama 2 70B server: 2 s to the first token, 200 ms each, at p99."""
    target = catalog.latency_target("mlperf-llama-2-70b-server")
    assert (target.ttft, target.tpot, target.quantile) == (2.0, 0.2, 0.99)
    assert catalog.latency_target("melange-tight").ttft == 60.0


def test_site_converts_grams_per_kwh() -> None:
    grid = catalog.row("grid", "usa")
    site = catalog.site("usa", pue=1.1, usd_per_kwh=0.36)
    assert site.carbon_intensity * 3.6e6 * 1000.0 == pytest.approx(grid["g_co2e_per_kwh"])
    assert site.electricity_price == pytest.approx(1e-7)
    assert site.pue == pytest.approx(1.1)


def test_facility_brings_its_pue() -> None:
    assert catalog.site("usa", "google-fleet", pue=2.0).pue == pytest.approx(1.09)


def test_intensities_of_different_kinds_do_not_compare() -> None:
    """Virginia at the stack, PJM and the United States over the life cycle: three kinds."""
    assert catalog.kind_of("usa", "swe", "wor") == ("lifecycle", "production")
    assert catalog.kind_of("us-mida-pjm", "fr-zone") == ("lifecycle", "consumption")
    assert catalog.kind_of("us-va", "egrid-srvc") == ("direct", "production")
    for other in ("usa", "us-mida-pjm"):
        with pytest.raises(InputError, match=rf"us-va and {other} do not compare.*at the stack"):
            catalog.kind_of("us-va", other)
        with pytest.raises(InputError, match="do not compare"):
            catalog.stack([catalog.site("us-va"), catalog.site(other)])
    assert catalog.stack([catalog.site("usa"), catalog.site("swe")]).pue.shape == (2,)


@pytest.mark.parametrize("grid", catalog.ids("grid"))
def test_a_site_says_what_its_intensities_count(grid: str) -> None:
    of = catalog.site(grid)
    assert of.kind == of.market_kind == catalog.kind_of(grid)
    bought = catalog.site(grid, "google-fleet")
    assert bought.market_kind == ("direct", "contracts")
    follows = catalog.row("grid", catalog.FOLLOWS_DEMAND[of.kind.basis])
    assert follows["basis"] == of.kind.basis
    grams = float(of.marginal_intensity) * JOULES_PER_KWH * 1000.0
    assert grams == pytest.approx(follows["g_co2e_per_kwh"])


def test_marginal_plants_are_counted_as_their_grid_is() -> None:
    with pytest.raises(InputError, match="another basis"):
        catalog.site("us-va", marginal="src-coal")


def test_a_data_centres_grid_is_that_of_its_own_source() -> None:
    """N. Virginia's PUE, water and intensity all come from one row of one table."""
    here = catalog.site(facility=catalog.DEFAULT_FACILITY)
    grid = catalog.facility_grid()
    assert grid == "us-mida-pjm"
    assert catalog.site().kind == here.kind == ("lifecycle", "consumption")
    assert float(here.carbon_intensity) * JOULES_PER_KWH * 1000.0 == pytest.approx(396.25)
    facilities = catalog.table("facilities").set_index("id")
    for facility, of in facilities.dropna(subset="grid").iterrows():
        row = catalog.row("grid", catalog.facility_grid(str(facility)))
        assert of["source"] in row["source"].split(";"), facility
    assert float(here.pue) == catalog.facility_pue() == 1.15
    with pytest.raises(InputError, match="stands in no single grid"):
        catalog.site(facility="google-fleet")


def test_prices_of_electricity_stand_in_by_country() -> None:
    assert catalog.electricity_price("us-va") == pytest.approx(0.0892)
    assert catalog.electricity_price("us-mida-pjm") == catalog.electricity_price("usa")
    assert catalog.electricity_price("fra") is None


def test_preferred_vintage_of_a_grid_is_unique() -> None:
    listed = catalog.ids("grid")
    assert len(listed) == len(set(listed))


def test_prices_carry_their_date_and_source() -> None:
    price = catalog.rental_price("h100-sxm")
    assert price is not None
    assert 1.0 < price.usd < 10.0
    assert price.checked
    assert price.month[:2] == "20"
    assert price.source
    assert catalog.rental_price("a17-pro") is None


def rents() -> dict[str, catalog.Rent]:
    found = {xpu: catalog.rental_price(xpu) for xpu in catalog.ids("xpus")}
    return {xpu: rent for xpu, rent in found.items() if rent is not None}


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


def test_models_of_one_architecture_are_served_alike() -> None:
    assert catalog.served_alike("llama-3.1-70b") == ("llama-3-70b", "llama-3.3-70b")
    assert catalog.served_alike("llama-3.1-8b") == ("llama-3-8b",)
    assert catalog.served_alike("gpt-oss-120b") == ()
    with pytest.raises(InputError, match="nearest"):
        catalog.served_alike("llama-9-70b")


def test_scores_that_compare_come_from_one_setting() -> None:
    """The 5-shot scores of tuned models, though two of three have a higher one with thinking."""
    trio = ("llama-3.2-3b", "llama-3.1-8b", "llama-3.1-70b")
    found = catalog.common_scores(trio)
    assert found.setting == "5-shot, instruct"
    assert [found.shares[model] for model in trio] == pytest.approx([0.634, 0.694, 0.836])


def test_tuned_models_are_compared_before_base_ones() -> None:
    assert catalog.common_scores(["llama-2-7b", "llama-3.1-70b"]).setting == "5-shot, base"
    assert "base" not in catalog.common_scores(["llama-3.1-8b", "phi-3-mini-3.8b"]).setting
    one = catalog.common_scores(["qwen2.5-72b"], "mmlu-pro")
    assert one.shares["qwen2.5-72b"] == pytest.approx(0.716)


@pytest.mark.parametrize("model", ["gpt-oss-120b", "minimax-m2.5"])
def test_scores_without_a_common_setting_are_refused(model: str) -> None:
    with pytest.raises(InputError, match=rf"llama-3\.2-3b: .*base.*{model}: "):
        catalog.common_scores(["llama-3.2-3b", model])
