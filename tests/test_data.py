"""The tables under data/: schemas, keys, sources, and figures traced by hand."""

import math
import re
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from pybtex.database import parse_file
from scipy import stats

from llmecon.errors import InputError
from llmecon.tables import schemas

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"

# Parameters that the architecture's columns do not describe, in billions, and why.
BEYOND_THE_FORMULA = {
    "gopher-280b": (80 * 16384 * 128 * 128 / 1e9, "projections of relative positions"),
    "chinchilla-70b": (80 * 8192 * 64 * 128 / 1e9, "projections of relative positions"),
    "llama-4-scout": (0.84, "vision encoder"),
    "gemma-3-4b": (0.42, "vision encoder"),
    "gemma-3-12b": (0.42, "vision encoder"),
    "gemma-3-27b": (0.42, "vision encoder"),
}

# Accelerators whose fp8 rate is not twice the bf16 rate, and the ratio that their makers give.
OTHER_FP8_RATIOS = {"gaudi3": 1.0, "trainium1": 1.0, "inferentia2": 1.0, "trainium3": 3.75}

# Carbon per square centimetre of good dies that ACT's figures give, in kg CO2e: fab at
# 500 g CO2e/kWh, 95% of the gases abated, yield 0.875.
CARBON_PER_CM2 = {28: 1.29, 20: 1.47, 14: 1.49, 10: 1.69, 8: 1.71, 7: 2.2, 5: 2.63, 3: 2.97}

# Runs whose tonnes leave the facility's overhead out, though their source gives a PUE.
TONNES_WITHOUT_PUE = {"opt-175b", "bloom-176b"}

# Runs reckoned at a rated power other than the datasheet's, and that power in watts.
OTHER_RATED_POWERS = {"llama-2-34b": 350.0}

# Models whose run is counted over another stretch in each of the tables of training.
OTHER_HOURS = {"deepseek-v3": 2_788_000 / 2_664_000}


@cache
def read(name: str) -> pd.DataFrame:
    return schemas.validate(name, pd.read_csv(DATA / f"{name}.csv"))


@pytest.fixture(scope="module")
def models() -> pd.DataFrame:
    return read("models").set_index("id")


@pytest.fixture(scope="module")
def xpus() -> pd.DataFrame:
    return read("xpus").set_index("id")


def parameters(of: pd.Series) -> tuple[float, float]:
    """Total and active parameters of an architecture, in billions."""
    if of["attention"] == "MLA":
        query_dim = of["head_dim"] + of["rope_dim"]
        queries = of["heads"] * query_dim
        attention = (
            of["width"] * of["q_lora_rank"] + of["q_lora_rank"] * queries
            if of["q_lora_rank"]
            else of["width"] * queries
        )
        attention += of["width"] * (of["kv_lora_rank"] + of["rope_dim"])
        attention += of["kv_lora_rank"] * of["heads"] * (of["head_dim"] + of["v_head_dim"])
        attention += of["heads"] * of["v_head_dim"] * of["width"]
    else:
        attention = 2 * of["width"] * of["head_dim"] * (of["heads"] + of["kv_heads"])
    embeddings = of["vocabulary"] * of["width"] * (1 if of["tied_embeddings"] else 2)
    dense = (of["layers"] - of["moe_layers"]) * of["ff_matrices"] * of["width"] * of["ff_width"]
    expert = of["ff_matrices"] * of["width"] * of["expert_ff_width"]
    router = of["experts"] * of["width"]
    shared = embeddings + of["layers"] * attention + dense + of["moe_layers"] * router
    each = of["moe_layers"] * expert
    total = shared + each * (of["experts"] + of["shared_experts"])
    active = shared + each * (of["experts_per_token"] + of["shared_experts"])
    return total / 1e9, active / 1e9


@pytest.mark.parametrize("name", schemas.names())
def test_table_obeys_its_schema(name: str) -> None:
    assert len(read(name)) > 0


def test_every_table_has_a_description() -> None:
    described = set(re.findall(r"^## (\w+)\.csv", (DATA / "README.md").read_text(), re.M))
    assert set(schemas.names()) == described


@pytest.mark.parametrize("name", schemas.names())
def test_every_source_is_in_the_bibliography(name: str) -> None:
    known = set(parse_file(str(ROOT / "book" / "references.bib")).entries)
    # What a fit has written has no source but the tables that it was fitted to.
    cited = {key for cell in read(name).get("source", ()) for key in cell.split(";")}
    assert cited <= known


@pytest.mark.parametrize(("here", "there"), schemas.references().items())
def test_references_between_tables_hold(here: tuple[str, str], there: tuple[str, str]) -> None:
    used = read(here[0])[here[1]].dropna()
    assert set(used) <= set(read(there[0])[there[1]])


def test_architectures_reproduce_published_sizes(models: pd.DataFrame) -> None:
    for name, of in models.iterrows():
        beyond, _ = BEYOND_THE_FORMULA.get(str(name), (0.0, ""))
        total, _ = parameters(of)
        assert total + beyond == pytest.approx(of["parameters_total_b"], rel=0.02), name


def test_exceptions_are_needed(models: pd.DataFrame) -> None:
    for name, (beyond, _) in BEYOND_THE_FORMULA.items():
        assert beyond / models.loc[name, "parameters_total_b"] > 0.005, name


def test_architectures_reproduce_published_active_sizes(models: pd.DataFrame) -> None:
    for name, of in models[models["moe_layers"] > 0].iterrows():
        _, active = parameters(of)
        one_embedding = of["vocabulary"] * of["width"] / 1e9
        # Some makers leave one embedding out of the active count, and all round it.
        assert active - one_embedding < of["parameters_active_b"] * 1.06, name
        assert active > of["parameters_active_b"] * 0.97, name


def test_attention_is_named_rightly(models: pd.DataFrame) -> None:
    for name, of in models.iterrows():
        if of["attention"] == "MHA":
            assert of["heads"] == of["kv_heads"], name
        elif of["attention"] == "MQA":
            assert of["kv_heads"] == 1, name
        elif of["attention"] == "GQA":
            assert 1 < of["kv_heads"] < of["heads"], name


def test_every_model_has_a_score(models: pd.DataFrame) -> None:
    quality = read("quality")
    assert set(models.index) <= set(quality["model"])


def test_larger_siblings_score_higher() -> None:
    quality = read("quality")
    base = quality[(quality["benchmark"] == "mmlu") & (quality["setting"] == "5-shot, base")]
    score = base.set_index("model")["score_pct"]
    for family in (
        ["llama-1-7b", "llama-1-13b", "llama-1-33b", "llama-1-65b"],
        ["llama-3.1-8b", "llama-3.1-70b", "llama-3.1-405b"],
        ["qwen2.5-0.5b", "qwen2.5-3b", "qwen2.5-7b", "qwen2.5-14b", "qwen2.5-72b"],
        ["gemma-2-2b", "gemma-2-9b", "gemma-2-27b"],
    ):
        assert list(score[family]) == sorted(score[family])


def test_dense_peaks_double_as_precision_halves(xpus: pd.DataFrame) -> None:
    for name, of in xpus[xpus["fp8_tflops"].notna()].iterrows():
        ratio = OTHER_FP8_RATIOS.get(str(name), 2.0)
        assert of["fp8_tflops"] / of["bf16_tflops"] == pytest.approx(ratio, rel=0.03), name


def test_links_carry_no_more_than_the_devices_memory(xpus: pd.DataFrame) -> None:
    linked = xpus[xpus["link_gb_s"].notna()]
    assert (linked["link_gb_s"] < 1000 * linked["memory_bandwidth_tb_s"]).all()
    both = linked[linked["network_gb_s"].notna()]
    assert (both["network_gb_s"] < both["link_gb_s"]).all()


def test_what_is_current_was_in_the_newest_reading_and_has_not_ended() -> None:
    prices = read("api_prices")
    newest = prices["month"].max()
    current = prices[prices["current"] == 1]
    assert set(current["month"]) == {newest}
    assert current["id"].is_unique
    ends = current["ends"].dropna()
    assert len(ends) > 5
    assert (ends.str[:7] >= newest).all()


def test_a_model_past_its_end_is_not_current() -> None:
    prices = read("api_prices")
    over = prices[prices["ends"].str[:7] < prices["month"].max()]
    assert len(over) > 20
    assert set(over["current"]) == {0}


def test_prices_of_the_newest_reading_are_read_in_a_map() -> None:
    prices = read("api_prices")
    newest = prices[prices["month"] == prices["month"].max()]
    assert newest["checked"].all()
    assert newest["source"].str.split(";").map(set).map({"LiteLLM", "GenaiPrices"}.issuperset).all()


def test_open_models_are_on_sale_at_several_hosts() -> None:
    hosted = read("api_prices").query("current == 1").groupby("model")["provider"].nunique()
    for model in ("llama-3.1-8b", "llama-3.1-70b", "llama-3.3-70b", "gpt-oss-120b", "qwen3-32b"):
        assert hosted[model] >= 2, model


def test_countries_prefer_the_newest_lifecycle_figure() -> None:
    grid = read("grid")
    for name, rows in grid[grid["level"] == "country"].groupby("id"):
        preferred = rows[rows["preferred"] == 1].iloc[0]
        assert preferred["basis"] == "lifecycle", name
        assert preferred["year"] == rows["year"].max(), name


def test_image_rules_give_their_examples() -> None:
    for _, of in read("image_tokens").iterrows():
        width, height = of["example_width_px"], of["example_height_px"]
        if of["rule"] == "fixed":
            tokens = of["base_tokens"]
        elif of["rule"] == "area":
            tokens = math.ceil(width * height / of["pixels_per_token"])
        else:
            scale = 1.0
            if pd.notna(of["short_side_px"]):
                scale = min(1.0, of["fit_box_px"] / max(width, height))
                scale *= min(1.0, of["short_side_px"] / (scale * min(width, height)))
            tiles = math.ceil(scale * width / of["tile_px"])
            tiles *= math.ceil(scale * height / of["tile_px"])
            tokens = of["base_tokens"] + tiles * of["tokens_per_tile"]
        assert tokens == of["example_tokens"], of["family"]


def test_device_mtbf_follows_from_its_row() -> None:
    for _, of in read("failures").dropna(subset=["interruptions", "days"]).iterrows():
        expected = of["devices"] * of["days"] * 24 / of["interruptions"]
        assert of["device_mtbf_hours"] == pytest.approx(expected, rel=1e-3), of["id"]


def test_reading_speeds_convert() -> None:
    for _, of in read("reading_speeds").iterrows():
        per_second = of["words_per_minute"] * of["tokens_per_word"] / 60
        assert of["tokens_per_s"] == pytest.approx(per_second, abs=1e-3), of["id"]


def test_the_published_serving_day_closes() -> None:
    of = read("serving_days").set_index("quantity")["value"]
    cost = of["nodes_mean"] * of["xpus_per_node"] * 24 * of["usd_per_xpu_hour"]
    assert cost == pytest.approx(of["cost_per_day"], rel=1e-6)
    missed = of["input_tokens"] - of["cached_input_tokens"]
    income = (
        of["cached_input_tokens"] * of["price_input_cached"]
        + missed * of["price_input"]
        + of["output_tokens"] * of["price_output"]
    ) / 1e6
    assert income == pytest.approx(of["income_per_day"], rel=0.002)
    assert income / cost - 1 == pytest.approx(of["profit_over_cost"], rel=0.005)
    seconds = (
        of["input_tokens"] / of["input_tokens_per_s_per_node"]
        + of["output_tokens"] / of["output_tokens_per_s_per_node"]
    )
    assert seconds == pytest.approx(of["nodes_mean"] * 86400, rel=0.01)


def test_the_serving_days_workload_has_its_ratio_and_cache_length() -> None:
    of = read("workloads").set_index("id").loc["deepseek-day"]
    assert of["prompt_tokens"] / of["output_tokens"] == pytest.approx(608 / 168, rel=1e-3)
    assert of["prompt_tokens"] + (of["output_tokens"] + 1) / 2 == pytest.approx(4989, abs=1)


def test_processes_give_the_carbon_per_area_computed_with_them() -> None:
    for _, of in read("embodied_processes").iterrows():
        grams = 500 * of["fab_kwh_per_cm2"] + of["gas_high_g_per_cm2"] + of["materials_g_per_cm2"]
        expected = CARBON_PER_CM2[int(of["process_nm"])]
        assert grams / 0.875 / 1000 == pytest.approx(expected, abs=0.0051), of["id"]


def test_finer_processes_take_no_less() -> None:
    by_node = read("embodied_processes").sort_values("process_nm", ascending=False)
    for column in ("fab_kwh_per_cm2", "gas_low_g_per_cm2", "gas_high_g_per_cm2", "imec_kg_per_cm2"):
        assert by_node[column].dropna().is_monotonic_increasing, column


def test_memory_follows_from_the_product_that_holds_it() -> None:
    products = read("embodied_products").set_index("id")
    shared = read("embodied_memory").dropna(subset=["product"])
    assert set(shared["kind"]) == {"hbm", "dram", "flash"}
    for _, of in shared.iterrows():
        product = products.loc[of["product"]]
        part = "storage" if of["kind"] == "flash" else "memory"
        expected = product["kg_co2e"] * product[f"{part}_share"] / product[f"{part}_gb"]
        assert of["kg_co2e_per_gb"] == pytest.approx(expected, rel=1e-3), of["id"]


def test_making_is_its_share_of_the_life_cycle() -> None:
    shared = read("embodied_products").dropna(subset=["making_share"])
    for _, of in shared.iterrows():
        expected = of["life_cycle_kg_co2e"] * of["making_share"]
        assert of["kg_co2e"] == pytest.approx(expected, abs=0.05), of["id"]


def test_boards_hold_the_memory_of_their_accelerators(xpus: pd.DataFrame) -> None:
    products = read("embodied_products")
    boards = products[products["kind"] == "board"]
    assert len(boards) == 2
    for _, of in boards.iterrows():
        assert of["memory_gb"] == of["xpus_per_unit"] * xpus.loc[of["xpu"], "memory_gb"], of["id"]


def test_a_b200_board_takes_the_published_quarter_less_for_its_speed(xpus: pd.DataFrame) -> None:
    products = read("embodied_products").set_index("id")
    per_speed = {
        name: products.loc[name, "kg_co2e"] / xpus.loc[products.loc[name, "xpu"], "bf16_tflops"]
        for name in ("nvidia-hgx-h100", "nvidia-hgx-b200")
    }
    # NVIDIA gives 0.66 and 0.50 g CO2e per exaFLOP, and 24% less.
    ratio = per_speed["nvidia-hgx-b200"] / per_speed["nvidia-hgx-h100"]
    assert ratio == pytest.approx(0.50 / 0.66, abs=0.01)


def test_hourly_ratios_are_of_their_authoritys_mean() -> None:
    for name, rows in read("hourly_carbon").groupby("authority"):
        assert sorted(rows["hour"]) == list(range(24)), name
        weights = rows["hours"] / rows["hours"].sum()
        assert (rows["ratio_to_mean"] * weights).sum() == pytest.approx(1, abs=3e-4), name
        ratios = rows["g_co2e_per_kwh"] / (rows["g_co2e_per_kwh"] * weights).sum()
        assert list(rows["ratio_to_mean"]) == pytest.approx(list(ratios), abs=2e-3), name


def test_hourly_means_are_near_those_of_the_zones_with_imports() -> None:
    grid = read("grid")
    levels = grid[grid["preferred"] == 1].set_index("id")["g_co2e_per_kwh"]
    means = read("hourly_carbon").dropna(subset=["zone"]).groupby("zone")["g_co2e_per_kwh"].mean()
    assert (means < levels[means.index]).all()  # none is cleaner with its imports
    near = means.drop("us-nw-bpat")  # hydropower alone, until what it imports is counted
    assert len(near) == 4
    for zone, mean in near.items():
        assert mean == pytest.approx(levels[zone], rel=0.15), zone


def test_sunny_grids_are_cleanest_at_noon() -> None:
    hourly = read("hourly_carbon")
    california = hourly[hourly["authority"] == "ciso"].set_index("hour")["ratio_to_mean"]
    assert 9 <= california.idxmin() <= 15


def test_sources_agree_on_water() -> None:
    water = read("water")
    other = water[water["preferred"] == 0].set_index("grid")["l_per_kwh"]
    preferred = water[water["preferred"] == 1].set_index("grid")["l_per_kwh"]
    assert len(other) == 6
    for grid, litres in other.items():
        assert litres == pytest.approx(preferred[grid], rel=5e-3), grid


def test_network_energies_agree_with_what_they_rest_on() -> None:
    of = read("network_energy").set_index("id")
    joules = 8e9 / 10e3  # a gigabyte at 10 kbit/J
    assert of.loc["base-station-4g-bottom-up", "kwh_per_gb"] == pytest.approx(
        joules / 3.6e6, rel=0.05
    )
    fixed, other = of.loc["fixed-2015"], of.loc["fixed-iea-2019"]
    halved = fixed["kwh_per_gb"] * 0.5 ** ((other["year"] - fixed["year"]) / 2)
    assert other["low"] < halved < other["high"]


def test_reported_energy_is_hours_times_power() -> None:
    runs = read("measured_training_carbon").set_index("id")
    known = runs.dropna(subset=["device_hours", "power_w", "energy_mwh"])
    assert len(known) > 30
    for name, of in known.iterrows():
        overhead = of["pue"] if of["energy_boundary"] in ("facility", "device-with-pue") else 1.0
        expected = of["device_hours"] * of["power_w"] * overhead / 1e6
        assert of["energy_mwh"] == pytest.approx(expected, rel=0.01), name


def test_reported_carbon_is_energy_times_intensity() -> None:
    runs = read("measured_training_carbon").set_index("id")
    known = runs.dropna(subset=["energy_mwh", "g_co2e_per_kwh", "t_co2e"])
    assert len(known) > 35
    for name, of in known.iterrows():
        within = of["energy_boundary"] in ("facility", "device-with-pue")
        overhead = 1.0 if within or pd.isna(of["pue"]) else of["pue"]
        tonnes = of["energy_mwh"] * of["g_co2e_per_kwh"] / 1000
        if name in TONNES_WITHOUT_PUE:
            assert overhead > 1.05, name
            overhead = 1.0
        assert of["t_co2e"] == pytest.approx(tonnes * overhead, rel=0.015), name


def test_runs_reckoned_at_rated_power_use_the_datasheets(xpus: pd.DataFrame) -> None:
    runs = read("measured_training_carbon").set_index("id")
    rated = runs[runs["power_basis"] == "rated"].dropna(subset=["xpu", "power_w"])
    assert set(OTHER_RATED_POWERS) <= set(rated.index)
    for name, of in rated.iterrows():
        expected = OTHER_RATED_POWERS.get(str(name), xpus.loc[of["xpu"], "tdp_w"])
        assert of["power_w"] == expected, name


def test_tables_of_training_agree_on_hours() -> None:
    hours = read("measured_training_runs").dropna(subset=["model", "device_hours"])
    expected = hours.set_index("model")["device_hours"]
    runs = read("measured_training_carbon").dropna(subset=["model", "device_hours"])
    both = runs[runs["model"].isin(expected.index)]
    assert len(both) > 15
    for _, of in both.iterrows():
        ratio = OTHER_HOURS.get(of["model"], 1.0)
        assert of["device_hours"] == pytest.approx(ratio * expected[of["model"]], rel=1e-3), of[
            "id"
        ]


def test_days_and_devices_make_no_more_than_the_hours() -> None:
    runs = read("measured_training_carbon")
    for _, of in runs.dropna(subset=["devices", "days", "device_hours"]).iterrows():
        ratio = of["devices"] * of["days"] * 24 / of["device_hours"]
        assert 0.9 < ratio < 1.05, of["id"]


def test_splits_add_up() -> None:
    for name, rows in read("carbon_splits").groupby("case"):
        assert rows["unit"].nunique() == 1, name
        parts = rows[rows["part"] != "total"]
        if len(parts) and len(parts) < len(rows):
            total = rows.loc[rows["part"] == "total", "value"].item()
            assert parts["value"].sum() == pytest.approx(total, rel=1e-3), name


def split(case: str) -> pd.Series:
    """The parts of a case of carbon_splits, by name."""
    table = read("carbon_splits")
    return table[table["case"] == case].set_index("part")["value"]


def test_blooms_carbon_follows_from_its_energy_and_hardware() -> None:
    run = read("measured_training_carbon").set_index("id").loc["bloom-176b"]
    products = read("embodied_products").set_index("id")
    carbon, energy = split("bloom-training-carbon"), split("bloom-training-energy")
    for part in ("dynamic", "idle"):
        tonnes = energy[part] * run["g_co2e_per_kwh"] / 1000
        assert carbon[part] == pytest.approx(tonnes, rel=5e-3), part
    device, server = products.loc["a100-bloom"], products.loc["hpe-apollo-6500-without-gpus"]
    in_use = 0.85  # of the six years, as the paper assumes
    hours = device["lifetime_years"] * 8760 * in_use
    each = device["kg_co2e"] + server["kg_co2e"] / 8
    tonnes = run["device_hours"] / hours * each / 1000
    assert carbon["making"] == pytest.approx(tonnes, abs=0.05)


def test_gpt_3s_water_follows_from_its_energy() -> None:
    run = read("measured_training_carbon").set_index("id").loc["gpt-3-175b"]
    water = read("water").set_index("id").loc["usa-li"]
    litres = split("gpt-3-training-water")
    energy = run["energy_mwh"]
    assert litres["on-site"] == pytest.approx(energy * water["wue_l_per_kwh"] / 1000, rel=1e-3)
    off_site = energy * 1.17 * water["l_per_kwh"] / 1000
    assert litres["off-site"] == pytest.approx(off_site, rel=1e-3)


def test_geminis_prompt_has_its_fleets_overheads() -> None:
    fleet = read("facilities").set_index("id").loc["google-fleet"]
    energy = split("gemini-prompt-energy")
    servers = energy["total"] - energy["facility"]
    assert energy["total"] / servers == pytest.approx(fleet["pue"], abs=0.03)
    water = split("gemini-prompt-water")["total"]
    # Energies are rounded to 0.01 Wh.
    assert (servers - 0.01) * fleet["wue_l_per_kwh"] < water
    assert water < (servers + 0.01) * fleet["wue_l_per_kwh"]


def test_operation_dominates_a_tpus_life_as_published() -> None:
    making = split("tpu-v6e-making")["total"]
    for basis in ("market", "location"):
        life = split(f"tpu-v6e-life-{basis}")
        assert life["making"] == making
        assert 0.7 < life["operation"] / life.sum() < 0.9, basis


def decode_bandwidth(of: pd.Series, parameters_b: float) -> float:
    """Bytes of weights that a device reads a second, in TB/s, if every token reads them all."""
    return of["tokens_per_s"] * parameters_b * of["bits_per_weight"] / 8 / 1000


def test_no_device_decodes_faster_than_it_can_read_the_weights(
    models: pd.DataFrame, xpus: pd.DataFrame
) -> None:
    shares = []
    for _, of in read("measured_edge").query("phase == 'decode'").iterrows():
        weights = models.loc[of["model"], "parameters_total_b"]
        # Several cards too read one after another, at the rate of one.
        rate = decode_bandwidth(of, weights) / xpus.loc[of["xpu"], "memory_bandwidth_tb_s"]
        assert rate < 1, of["id"]
        shares.append(rate)
    assert pd.Series(shares).median() > 0.5  # decoding is bound by memory
    published = read("edge_devices").rename(columns={"decode_tokens_per_s": "tokens_per_s"})
    for _, of in published.dropna(subset=["xpu", "bits_per_weight", "tokens_per_s"]).iterrows():
        rate = decode_bandwidth(of, of["parameters_b"])
        assert rate < xpus.loc[of["xpu"], "memory_bandwidth_tb_s"], of["id"]


def test_no_device_prefills_faster_than_its_peak(models: pd.DataFrame, xpus: pd.DataFrame) -> None:
    beyond = set()
    for _, of in read("measured_edge").query("phase == 'prefill'").iterrows():
        device = xpus.loc[of["xpu"]]
        flops = 2e9 * models.loc[of["model"], "parameters_active_b"] * of["tokens_per_s"]
        share = flops / (of["devices"] * device["bf16_tflops"] * 1e12)
        if share > 1:
            beyond.add(of["xpu"])
        assert share < 2, of["id"]
    # GeForce cards run at twice the listed rate where sums are kept in 16 bits.
    assert beyond == {"rtx-3080", "rtx-3090", "rtx-4080"}


def test_weights_fit_the_devices_that_ran_them(models: pd.DataFrame, xpus: pd.DataFrame) -> None:
    for _, of in read("measured_edge").iterrows():
        gb = models.loc[of["model"], "parameters_total_b"] * of["bits_per_weight"] / 8
        # The gigabytes of these makers are powers of two.
        assert gb < 2**30 / 1e9 * of["devices"] * xpus.loc[of["xpu"], "memory_gb"], of["id"]


def test_smaller_weights_decode_faster() -> None:
    decode = read("measured_edge").query("phase == 'decode' and tokens == 1024")
    speeds = decode.pivot(
        index=["xpu", "devices", "model"], columns="quantisation", values="tokens_per_s"
    ).dropna()
    assert len(speeds) >= 10
    gain = speeds["q4_k_m"] / speeds["f16"]
    # At most by the ratio of the bits.
    assert gain.between(1.5, 16 / 4.82).all()


def test_phones_show_the_ratios_that_were_published_with_them() -> None:
    of = read("edge_devices").set_index("id")
    bf16 = of.loc["oneplus-12-llama-3.2-1b-bf16"]
    small = of.loc["oneplus-12-llama-3.2-1b-spinquant"]
    # Meta gives 2.5 to 2.6 times for decoding and 4.2 to 4.3 for prefill.
    assert small["decode_tokens_per_s"] / bf16["decode_tokens_per_s"] == pytest.approx(
        2.6, abs=0.05
    )
    assert small["prefill_tokens_per_s"] / bf16["prefill_tokens_per_s"] == pytest.approx(
        4.3, abs=0.05
    )
    # The paper says that the phone loses 44.1% once hot.
    hot = of.loc["iphone-16-pro-qwen2.5-1.5b", "sustained_share"]
    assert hot == pytest.approx(1 - 0.441, abs=0.0005)


def test_oracle_routers_follow_from_the_outcomes() -> None:
    pairs = read("router_pairs").set_index("id")
    oracles = read("routers").query("router == 'oracle'").set_index("pair")
    counted = pairs.dropna(subset=["both"])
    assert set(oracles.index) == set(counted.index)
    for name, of in counted.iterrows():
        weak, strong = of["both"] + of["only_weak"], of["both"] + of["only_strong"]
        assert of["quality_weak"] == pytest.approx(100 * weak / of["questions"], abs=0.005), name
        assert of["quality_strong"] == pytest.approx(100 * strong / of["questions"], abs=0.005)
        either = weak + of["only_strong"]
        point = oracles.loc[str(name)]
        assert point["strong_share"] == pytest.approx(of["only_strong"] / of["questions"], abs=1e-4)
        recovered = (either - weak) / (strong - weak)
        assert point["recovered"] == pytest.approx(recovered, abs=1e-4), name


def test_points_of_routers_give_their_mean() -> None:
    points = read("routers").query("router != 'oracle'")
    curves = points.groupby(["pair", "router", "training"], dropna=False)
    assert len(curves) == 37
    for name, rows in curves:
        half, most = rows.sort_values("recovered")["strong_share"]
        assert list(rows.sort_values("recovered")["recovered"]) == [0.5, 0.8], name
        assert 0 < half < most < 1, name
        shares, recovered = [0, half, most, 1], [0, 0.5, 0.8, 1]
        # The area under straight lines between the points; the curve itself is nearby.
        area = sum(
            (shares[k + 1] - shares[k]) * (recovered[k + 1] + recovered[k]) / 2 for k in range(3)
        )
        (mean,) = set(rows["mean_recovered"])
        assert area == pytest.approx(mean, abs=0.1), name


def test_drafting_gains_what_acceptance_allows() -> None:
    drafting = read("drafting")
    rated = drafting.dropna(subset=["acceptance_low", "draft_cost", "draft_tokens"])
    assert len(rated) == 12
    ratios = []
    for _, of in rated.iterrows():
        kept, drafts = of["acceptance_low"], of["draft_tokens"]
        tokens = (1 - kept ** (drafts + 1)) / (1 - kept)
        ratios.append(of["speed_up"] / (tokens / (drafts * of["draft_cost"] + 1)))
    # [Leviathan2022] measured near what its formula says.
    assert min(ratios) > 0.6
    assert max(ratios) < 1.35
    assert pd.Series(ratios).median() == pytest.approx(1, abs=0.15)
    stepped = drafting.dropna(subset=["tokens_per_step"])
    assert (stepped["speed_up"] < stepped["tokens_per_step"]).all()


def test_paths_take_their_energy_from_the_networks() -> None:
    known = set(read("network_energy")["kwh_per_gb"].dropna())
    paths = read("network_paths")
    for end in ("low", "high"):
        assert set(paths[f"kwh_per_gb_{end}"].dropna()) <= known
    # Light in fibre takes 56 ms to cross the Atlantic and come back.
    assert paths.set_index("id").loc["far-cloud", "round_trip_low_s"] > 0.056


def test_drafted_distributions_are_as_long_as_the_vocabulary(models: pd.DataFrame) -> None:
    of = read("payloads").set_index("id").loc["draft-distribution"]
    vocabulary = models.loc["llama-3.1-8b", "vocabulary"]
    assert of["bytes_per_token_low"] == 2 * vocabulary
    assert of["bytes_per_token_high"] == 4 * vocabulary


def growth(start: tuple[str, str, int], end: tuple[str, str, int]) -> float:
    """Growth factor a year between two published levels, each a case, a region and a year."""
    levels: dict[tuple[str, str, int], dict[str, float]] = {}
    for _, of in read("scenario_levels").iterrows():
        key = of["scenario"], of["region"], of["year"]
        levels.setdefault(key, {})[of["quantity"]] = of["value"]
    (quantity,) = levels[start].keys() & levels[end].keys()
    ratio = levels[end][quantity] / levels[start][quantity]
    return float(ratio ** (1 / (end[2] - start[2])))


BASE_2024 = ("iea-2025-base", "wor", 2024)
BASE_2025 = ("iea-2026-base", "wor", 2025)
PRICE_2024 = ("industrial-price", "usa", 2024)
LBNL_2023, LBNL_2024 = ("lbnl-2024", "usa", 2023), ("lbnl-2026-reference", "usa", 2024)


@pytest.mark.parametrize(
    ("name", "column", "start", "end"),
    [
        ("iea-2025-2035", "low", BASE_2024, ("iea-2025-headwinds", "wor", 2035)),
        ("iea-2025-2035", "mid", BASE_2024, ("iea-2025-base", "wor", 2035)),
        ("iea-2025-2035", "high", BASE_2024, ("iea-2025-lift-off", "wor", 2035)),
        ("iea-2026-2030", "low", BASE_2025, ("iea-2026-headwinds", "wor", 2030)),
        ("iea-2026-2030", "mid", BASE_2025, ("iea-2026-base", "wor", 2030)),
        ("iea-2026-2030", "high", BASE_2025, ("iea-2026-lift-off", "wor", 2030)),
        ("lbnl-2024-2028", "low", LBNL_2023, ("lbnl-2024-low", "usa", 2028)),
        ("lbnl-2024-2028", "high", LBNL_2023, ("lbnl-2024-high", "usa", 2028)),
        ("lbnl-2026-2030", "low", LBNL_2024, ("lbnl-2026-lowest", "usa", 2030)),
        ("lbnl-2026-2030", "mid", LBNL_2024, ("lbnl-2026-reference", "usa", 2030)),
        ("lbnl-2026-2030", "high", LBNL_2024, ("lbnl-2026-highest", "usa", 2030)),
        ("google-tokens", "low", ("google", "wor", 2025), ("google", "wor", 2026)),
        ("google-tokens", "mid", ("google", "wor", 2024), ("google", "wor", 2026)),
        ("google-tokens", "high", ("google", "wor", 2024), ("google", "wor", 2025)),
        ("us-grid-intensity", "low", ("eia", "usa", 2022), ("eia", "usa", 2023)),
        ("us-grid-intensity", "mid", ("ghgrp", "usa", 2011), ("ghgrp", "usa", 2023)),
        ("us-grid-intensity", "high", ("egrid", "usa", 1996), ("egrid", "usa", 2018)),
        ("us-industrial-price", "low", ("industrial-price", "usa", 2011), PRICE_2024),
        ("us-industrial-price", "mid", ("industrial-price", "usa", 2002), PRICE_2024),
        ("us-industrial-price", "high", ("industrial-price", "usa", 2019), PRICE_2024),
    ],
)
def test_growth_follows_from_the_levels(
    name: str, column: str, start: tuple[str, str, int], end: tuple[str, str, int]
) -> None:
    of = read("scenarios").set_index("id").loc[name]
    assert of[f"{column}_per_year"] == pytest.approx(growth(start, end), abs=1e-3)


def test_growth_follows_from_doubling_times() -> None:
    of = read("scenarios").set_index("id")[[f"{end}_per_year" for end in ("low", "mid", "high")]]
    years = {
        "epoch-price-performance-all": (2.72, 2.46, 2.24),
        "epoch-price-performance-ml": (3.13, 2.07, 1.54),
        "epoch-price-performance-top": (3.52, 2.95, 2.54),
        "epoch-price-performance-fp16": (3.62, 2.3, 1.69),
        "ho-2024-preprint": (-5 / 12, -8 / 12, -14 / 12),
        "ho-2024-neurips": (-2 / 12, -8 / 12, -22 / 12),
    }
    for name, times in years.items():
        assert list(of.loc[name]) == pytest.approx([2 ** (1 / t) for t in times], rel=1e-3), name


def test_derived_ranges_follow_from_their_parts() -> None:
    of = read("scenarios").set_index("id")[[f"{end}_per_year" for end in ("low", "mid", "high")]]
    ends = of.rename(columns=lambda column: column.removesuffix("_per_year"))
    size, price = ends.loc["model-size-2035"], ends.loc["epoch-price-performance-fp16"]
    energy, hardware = ends.loc["iea-2025-2035"], ends.loc["hardware-efficiency-2035"]
    opposite = {"low": "high", "mid": "mid", "high": "low"}
    for end, other in opposite.items():
        assert ends.loc["token-price-2035", end] == pytest.approx(
            size[end] / price[other], rel=1e-3
        )
        tokens = energy[end] * hardware[end] / size[other]
        assert ends.loc["demand-tokens-2035", end] == pytest.approx(tokens, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("xpus-hardware-efficiency", "bf16_tflops"),
        ("xpus-memory-bandwidth-efficiency", "memory_bandwidth_tb_s"),
    ],
)
def test_growth_of_accelerators_is_their_tables(xpus: pd.DataFrame, name: str, column: str) -> None:
    # Not those that hold weights in on-chip memory alone.
    of = xpus[(xpus["kind"] == "datacenter") & xpus["tdp_w"].notna() & (xpus["memory_gb"] >= 1)]
    fit = stats.linregress(of["year"], (of[column] / of["tdp_w"]).map(math.log))
    margin = stats.t.ppf(0.95, len(of) - 2) * fit.stderr
    expected = [math.exp(fit.slope + k * margin) for k in (-1, 0, 1)]
    row = read("scenarios").set_index("id").loc[name]
    # A new accelerator may shift the trend a little before the row has to follow.
    assert [row[f"{end}_per_year"] for end in ("low", "mid", "high")] == pytest.approx(
        expected, rel=0.02
    )
    assert (row["period_start"], row["period_end"]) == (of["year"].min(), of["year"].max())


def test_regions_add_up_to_the_world() -> None:
    rows = read("scenario_levels").query("scenario == 'iea-2025-base'")
    for year in (2024, 2030):
        of = rows[rows["year"] == year].set_index("region")["value"]
        assert len(of) == 6
        # Regions are rounded, and 2024's were printed one by one.
        assert of.drop("wor").sum() == pytest.approx(of["wor"], rel=0.01)


def test_cases_enclose_the_base_case() -> None:
    rows = read("scenario_levels")
    for base, (low, high), year in [
        ("iea-2025-base", ("iea-2025-headwinds", "iea-2025-lift-off"), 2035),
        ("iea-2026-base", ("iea-2026-headwinds", "iea-2026-lift-off"), 2030),
        ("lbnl-2026-reference", ("lbnl-2026-lowest", "lbnl-2026-highest"), 2030),
    ]:
        of = rows[(rows["year"] == year) & rows["region"].isin(["wor", "usa"])]
        value = of.set_index(["scenario", "region"])["value"]
        world = "usa" if "lbnl" in base else "wor"
        assert value[low, world] < value[base, world] < value[high, world]
    lbnl = rows[(rows["year"] == 2030) & rows["scenario"].str.startswith("lbnl-2026")]
    assert lbnl.set_index("scenario")["value"].idxmin() == "lbnl-2026-lowest"
    assert lbnl.set_index("scenario")["value"].idxmax() == "lbnl-2026-highest"


def test_what_is_drawn_reaches_2035() -> None:
    drawn = read("scenarios").query("draw == 1")
    assert set(drawn["end_year"]) == {2035}
    evidence = read("scenarios").query("draw == 0")
    assert (evidence["end_year"] <= 2030).all()
    assert set(drawn["quantity"]) == set(read("scenarios")["quantity"]) - {"training-compute"}


def test_world_intensity_falls_to_the_forecast() -> None:
    of = read("scenarios").set_index("id").loc["iea-grid-intensity"]
    forecast = growth(("iea-electricity-2025", "wor", 2024), ("iea-electricity-2025", "wor", 2027))
    assert of["low_per_year"] == pytest.approx(forecast, abs=0.002)


@pytest.mark.parametrize(
    ("table", "key", "column", "value"),
    [
        ("models", "llama-3.1-70b", "kv_heads", 8),
        ("models", "deepseek-v3", "kv_lora_rank", 512),
        ("models", "gpt-oss-120b", "experts", 128),
        ("models", "gemma-3-27b", "windowed_layers", 52),
        ("models", "llama-4-maverick", "moe_layers", 24),
        ("xpus", "h100-sxm", "bf16_tflops", 989.4),
        ("xpus", "h100-sxm", "link_gb_s", 450),
        ("xpus", "h800-sxm", "link_gb_s", 200),
        ("xpus", "a100-sxm-80gb", "memory_bandwidth_tb_s", 2.039),
        ("xpus", "gb200", "link_domain", 72),
        ("measured_training_runs", "llama-3.1-405b", "device_hours", 30_840_000),
        ("measured_training_runs", "deepseek-v3", "device_hours", 2_664_000),
        ("failures", "llama-3-405b", "device_mtbf_hours", 50_677),
        ("servers", "dgx-h100", "max_power_w", 10_200),
        ("latency_targets", "mlperf-llama-2-70b-interactive", "ttft_s", 0.45),
        ("workloads", "azure-code-2023", "interarrival_cv", 13.15),
        ("facilities", "aws-ireland", "pue", 1.11),
        ("measured_edge", "rtx-4090-8b-q4_k_m-decode-1024", "tokens_per_s", 127.74),
        ("measured_edge", "apple-m2-ultra-70b-q4_k_m-decode-1024", "tokens_per_s", 12.13),
        ("edge_devices", "oneplus-12-llama-3.2-1b-qat-lora", "decode_tokens_per_s", 45.8),
        ("router_pairs", "gpt-4-mixtral-gsm8k", "only_strong", 383),
        ("drafting", "t5-translation-small-t0", "speed_up", 3.4),
        ("drafting", "specedge", "throughput_factor", 2.22),
        ("embodied_processes", "logic-5nm", "gas_low_g_per_cm2", 225),
        ("embodied_memory", "lpddr4", "kg_co2e_per_gb", 0.048),
        ("embodied_products", "h100-sxm-ademe", "kg_co2e", 273),
        ("water", "fra-wri", "l_per_kwh", 3.6737),
        ("network_energy", "video-wifi-2019", "w", 91),
        ("measured_training_carbon", "gpt-3-175b", "energy_mwh", 1287),
    ],
)
def test_figures_traced_by_hand(table: str, key: str, column: str, value: float) -> None:
    assert read(table).set_index("id").loc[key, column] == value


def test_grid_figures_traced_by_hand() -> None:
    grid = read("grid")
    preferred = grid[grid["preferred"] == 1].set_index("id")["g_co2e_per_kwh"]
    assert preferred["usa"] == 384.4
    assert preferred["fra"] == 41.4
    assert preferred["us-va"] == 244.8


@pytest.mark.parametrize(
    ("table", "column", "cell", "expected"),
    [
        ("models", "layers", 0, "at least 1"),
        ("models", "layers", 3.5, "a whole number"),
        ("models", "attention", "XXX", "one of MHA, MQA, GQA, MLA"),
        ("models", "id", "gpt-2-xl", "occurs once"),
        ("models", "release", "May 2022", "YYYY-MM"),
        ("xpus", "bf16_tflops", None, "a value"),
        ("xpus", "bf16_tflops", "fast", "a number"),
        ("xpus", "source", "a b", "keys of the bibliography"),
        ("grid", "checked", "maybe", "true or false"),
        ("facilities", "pue", 0.9, "at least 1"),
        ("quality", "score_pct", 101, "at most 100"),
    ],
)
def test_a_wrong_cell_is_refused_by_row_and_column(
    table: str, column: str, cell: object, expected: str
) -> None:
    frame = pd.read_csv(DATA / f"{table}.csv").astype(object)
    frame.loc[4, column] = cell
    with pytest.raises(InputError) as refused:
        schemas.validate(table, frame.infer_objects())
    message = str(refused.value)
    row = 2 if "once" in expected else 6  # a repeated key is reported where it first stands
    assert f"{table}.csv, row {row} (" in message
    assert f"column {column}" in message
    assert expected in message
    assert "\n" not in message


def test_columns_that_disagree_are_refused() -> None:
    frame = pd.read_csv(DATA / "models.csv")
    frame.loc[4, "moe_layers"] = 5
    with pytest.raises(InputError, match=r"models\.csv, row 6 \(palm-540b\).*experts"):
        schemas.validate("models", frame)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(columns="layers"), "column layers is missing"),
        (lambda frame: frame.assign(colour="red"), "column colour is not one"),
    ],
)
def test_missing_and_unknown_columns_are_refused(change, message: str) -> None:
    with pytest.raises(InputError, match=message):
        schemas.validate("models", change(pd.read_csv(DATA / "models.csv")))


def test_an_unknown_table_is_refused() -> None:
    with pytest.raises(InputError, match="no table 'model'"):
        schemas.validate("model", pd.DataFrame())
