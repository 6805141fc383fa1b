"""The tables under data/: schemas, keys, sources, and figures traced by hand."""

import math
import re
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from pybtex.database import parse_file

from llmecon import schemas
from llmecon.errors import InputError

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


@pytest.mark.parametrize("name", sorted(schemas.SCHEMAS))
def test_table_obeys_its_schema(name: str) -> None:
    assert len(read(name)) > 0


def test_every_table_has_a_schema_and_a_description() -> None:
    described = set(re.findall(r"^## (\w+)\.csv", (DATA / "README.md").read_text(), re.M))
    tables = {path.stem for path in DATA.glob("*.csv")}
    assert set(schemas.SCHEMAS) <= tables
    assert set(schemas.SCHEMAS) <= described


@pytest.mark.parametrize("name", sorted(schemas.SCHEMAS))
def test_every_column_is_described(name: str) -> None:
    section = re.split(rf"^## {name}\.csv.*$", (DATA / "README.md").read_text(), flags=re.M)[1]
    section = re.split(r"^## ", section, flags=re.M)[0]
    described = set(re.findall(r"`(\w+)`", section)) | {"source", "checked", "note"}
    assert set(read(name).columns) <= described


@pytest.mark.parametrize("name", sorted(schemas.SCHEMAS))
def test_every_source_is_in_the_bibliography(name: str) -> None:
    known = set(parse_file(str(ROOT / "book" / "references.bib")).entries)
    # What a fit has written has no source but the tables that it was fitted to.
    cited = {key for cell in read(name).get("source", ()) for key in cell.split(";")}
    assert cited <= known


@pytest.mark.parametrize(("here", "there"), schemas.FOREIGN_KEYS.items())
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


def test_current_price_is_the_newest() -> None:
    prices = read("api_prices")
    for name, rows in prices.groupby("id"):
        current = rows[rows["current"] == 1]
        assert list(current["month"]) == [rows["month"].max()], name


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
