"""What must hold between the columns of a row, or between the rows of a table.

`data/columns.csv` says what one column may hold; here stands what that can't say.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Rule:
    """A rule of a table.

    Attributes:
        says: what must hold, in words that a refusal shows.
        holds: for a table's rows in the types of its columns, whether each of them keeps the rule.
    """

    says: str
    holds: Callable[[pd.DataFrame], pd.Series]


# The rules of each table that has any.
RULES: dict[str, list[Rule]] = {}


def rule(
    *tables: str, says: str
) -> Callable[[Callable[[pd.DataFrame], pd.Series]], Callable[[pd.DataFrame], pd.Series]]:
    """Decorate a function that finds the rows which keep a rule.

    Args:
        tables: those with the rule, without `.csv`.
        says: what must hold, in words that a refusal shows.
    """

    def kept(holds: Callable[[pd.DataFrame], pd.Series]) -> Callable[[pd.DataFrame], pd.Series]:
        for table in tables:
            RULES.setdefault(table, []).append(Rule(says, holds))
        return holds

    return kept


@rule(
    "models",
    "measured_training_carbon",
    "measured_training_steps",
    says="active parameters at most the total",
)
def _active_parameters(frame: pd.DataFrame) -> pd.Series:
    active = frame["parameters_active_b"]
    return active.isna() | (active <= frame["parameters_total_b"])


@rule("efficiencies", "loss_laws", "silicon_estimates", says="low <= value <= high")
def _ordered(frame: pd.DataFrame) -> pd.Series:
    value = frame["value"]
    low, high = frame["low"].fillna(value), frame["high"].fillna(value)
    return (low <= value) & (value <= high)


@rule("models", says="a whole number of heads for each KV head")
def _groups_of_models(frame: pd.DataFrame) -> pd.Series:
    return frame["heads"] % frame["kv_heads"] == 0


@rule("models", says="experts given if and only if some layers have them")
def _experts_of_models(frame: pd.DataFrame) -> pd.Series:
    some = frame["moe_layers"] > 0
    columns = ["experts", "experts_per_token", "expert_ff_width"]
    return (frame[columns] > 0).all(axis=1).where(some, (frame[columns] == 0).all(axis=1))


@rule("models", says="no more MoE or windowed layers than layers")
def _layers_of_models(frame: pd.DataFrame) -> pd.Series:
    return frame[["moe_layers", "windowed_layers"]].max(axis=1) <= frame["layers"]


@rule("models", says="a window if and only if some layers have one")
def _window_of_models(frame: pd.DataFrame) -> pd.Series:
    return (frame["window_tokens"] > 0) == (frame["windowed_layers"] > 0)


@rule("models", says="a latent rank if and only if the attention is MLA")
def _latent_of_models(frame: pd.DataFrame) -> pd.Series:
    return (frame["kv_lora_rank"] > 0) == (frame["attention"] == "MLA")


@rule("xpus", says="idle power below the rated power")
def _idle_of_xpus(frame: pd.DataFrame) -> pd.Series:
    return frame["idle_w"].isna() | frame["tdp_w"].isna() | (frame["idle_w"] < frame["tdp_w"])


@rule("rental_prices", says="estimates of our own are of the tier own-estimate and unchecked")
def _own_of_rental_prices(frame: pd.DataFrame) -> pd.Series:
    own = frame["source"] == "OwnEstimate"
    return (own == (frame["tier"] == "own-estimate")) & ~(own & frame["checked"])


@rule("rental_prices", says="assumptions are of a tier of estimates")
def _assumed_of_rental_prices(frame: pd.DataFrame) -> pd.Series:
    return (frame["contract"] == "assumption") == (frame["tier"] == "assumed")


@rule("api_prices", says="cached input no dearer than input")
def _cached_of_api_prices(frame: pd.DataFrame) -> pd.Series:
    cached = frame["cached_input_usd_per_mtok"]
    return cached.isna() | (cached <= frame["input_usd_per_mtok"])


@rule("grid", says="exactly one preferred row for each id")
def _preferred_of_grid(frame: pd.DataFrame) -> pd.Series:
    return frame.groupby("id")["preferred"].transform("sum") == 1


@rule("facilities", says="a market-based intensity says what it counts")
def _stated_of_facilities(frame: pd.DataFrame) -> pd.Series:
    return frame["market_g_co2e_per_kwh"].notna() == frame["market_basis"].notna()


@rule("embodied_processes", says="better abatement leaves no more gas")
def _gas_of_embodied_processes(frame: pd.DataFrame) -> pd.Series:
    return frame["gas_low_g_per_cm2"] <= frame["gas_high_g_per_cm2"]


@rule("embodied_products", says="making given, unless a life cycle comes without a share of it")
def _making_of_embodied_products(frame: pd.DataFrame) -> pd.Series:
    alone = frame["life_cycle_kg_co2e"].notna() & frame["making_share"].isna()
    return frame["kg_co2e"].isna() == alone


@rule("embodied_products", says="a life cycle if and only if that is the boundary")
def _life_cycle_of_embodied_products(frame: pd.DataFrame) -> pd.Series:
    return frame["life_cycle_kg_co2e"].notna() == (frame["boundary"] == "life-cycle")


@rule("embodied_products", says="shares of parts add up to no more than the whole")
def _shares_of_embodied_products(frame: pd.DataFrame) -> pd.Series:
    parts = ["memory_share", "storage_share", "chip_share", "thermal_share"]
    return frame[parts].sum(axis=1) <= 1


@rule("hourly_carbon", says="one offset for each grid")
def _offset_of_hourly_carbon(frame: pd.DataFrame) -> pd.Series:
    return frame.groupby("grid")["utc_offset_h"].transform("nunique") == 1


@rule("water", says="exactly one preferred row for each grid")
def _preferred_of_water(frame: pd.DataFrame) -> pd.Series:
    return frame.groupby("grid")["preferred"].transform("sum") == 1


@rule("network_energy", says="kWh/GB if the kind is per-byte, watts otherwise")
def _unit_of_network_energy(frame: pd.DataFrame) -> pd.Series:
    by_byte = frame["kind"] == "per-byte"
    return (frame["kwh_per_gb"].notna() == by_byte) & (frame["w"].isna() == by_byte)


@rule("network_energy", says="low <= value <= high")
def _ordered_of_network_energy(frame: pd.DataFrame) -> pd.Series:
    value = frame["kwh_per_gb"].fillna(frame["w"])
    low, high = frame["low"].fillna(value), frame["high"].fillna(value)
    return (low <= value) & (value <= high)


@rule("measured_training_carbon", says="a boundary with every energy, a basis with every emission")
def _bounded_of_measured_training_carbon(frame: pd.DataFrame) -> pd.Series:
    energy = frame["energy_mwh"].notna() == frame["energy_boundary"].notna()
    return energy & (frame["t_co2e"].notna() == frame["carbon_basis"].notna())


@rule(
    "measured_training_carbon",
    says="metered where power was measured, circular only where it was not",
)
def _metered_of_measured_training_carbon(frame: pd.DataFrame) -> pd.Series:
    measured = frame["power_basis"].isin(["measured-system", "measured-device"])
    unmeasured = frame["power_basis"].isin(["category-average", "assumed", "rated"])
    return ((frame["metered"] == 1) == measured) & ((frame["circular"] == 1) == unmeasured)


@rule("measured_training_runs", says="device-hours, or devices and days")
def _effort_of_measured_training_runs(frame: pd.DataFrame) -> pd.Series:
    return frame["device_hours"].notna() | (
        frame["devices"].notna() & frame["wallclock_days"].notna()
    )


@rule("measured_training_steps", says="at least one measured speed")
def _measured_of_measured_training_steps(frame: pd.DataFrame) -> pd.Series:
    speeds = ["mfu_pct", "hfu_pct", "tflops_per_device", "tokens_per_s_per_device"]
    return frame[[*speeds, "step_time_s"]].notna().any(axis=1)


@rule("router_pairs", says="the four outcomes together, adding up to the questions")
def _outcomes_of_router_pairs(frame: pd.DataFrame) -> pd.Series:
    outcomes = frame[["both", "only_strong", "only_weak", "neither"]]
    total = outcomes.sum(axis=1, skipna=False)
    return outcomes.isna().all(axis=1) | (total == frame["questions"])


@rule("router_pairs", says="the strong model is better")
def _better_of_router_pairs(frame: pd.DataFrame) -> pd.Series:
    weak, strong = frame["quality_weak"], frame["quality_strong"]
    return (weak.isna() & strong.isna()) | (weak < strong)


@rule("drafting", says="acceptance_low at most acceptance_high, or neither")
def _acceptance_of_drafting(frame: pd.DataFrame) -> pd.Series:
    low, high = frame["acceptance_low"], frame["acceptance_high"]
    return (low.isna() & high.isna()) | (low <= high)


@rule("drafting", says="at least one gain")
def _gain_of_drafting(frame: pd.DataFrame) -> pd.Series:
    gains = ["speed_up", "latency_change", "throughput_factor", "cost_factor"]
    return frame[gains].notna().any(axis=1)


@rule("network_paths", says="low at most high")
def _ordered_of_network_paths(frame: pd.DataFrame) -> pd.Series:
    low, high = frame["kwh_per_gb_low"], frame["kwh_per_gb_high"]
    energy = (low.isna() & high.isna()) | (low <= high)
    return energy & (frame["round_trip_low_s"] <= frame["round_trip_high_s"])


@rule("payloads", says="low at most high")
def _ordered_of_payloads(frame: pd.DataFrame) -> pd.Series:
    return frame["bytes_per_token_low"] <= frame["bytes_per_token_high"]


@rule("scenarios", says="low < mid < high")
def _ordered_of_scenarios(frame: pd.DataFrame) -> pd.Series:
    low, mid, high = (frame[f"{end}_per_year"] for end in ("low", "mid", "high"))
    return (low < mid) & (mid < high)


@rule("scenarios", says="periods that end after they start")
def _periods_of_scenarios(frame: pd.DataFrame) -> pd.Series:
    covered = frame["period_start"] < frame["period_end"]
    return covered & (frame["start_year"] <= frame["end_year"])


@rule("scenarios", says="at most one row to draw from for a quantity and region")
def _drawn_of_scenarios(frame: pd.DataFrame) -> pd.Series:
    rivals = frame.groupby(["quantity", "region"])["draw"].transform("sum")
    return (frame["draw"] == 0) | (rivals == 1)


@rule("scenario_levels", says="one unit a quantity, but for CO2 and CO2e")
def _units_of_scenario_levels(frame: pd.DataFrame) -> pd.Series:
    units = frame["unit"].str.replace("CO2e", "CO2")
    return units.groupby(frame["quantity"]).transform("nunique") == 1


@rule("retrieval", says="recall that grows with k within a curve")
def _grows_of_retrieval(frame: pd.DataFrame) -> pd.Series:
    rows = frame.sort_values(["curve", "k"])
    return (rows.groupby("curve")["recall"].diff().fillna(1) > 0).reindex(frame.index)


@rule("reading", says="no more gold passages, and no later a position, than passages")
def _within_of_reading(frame: pd.DataFrame) -> pd.Series:
    gold = frame[["gold_passages", "gold_position"]].max(axis=1).fillna(0)
    return frame["passages"].isna() | (gold <= frame["passages"])


@rule("fine_tuning_prices", says="a tuned model no cheaper than its base")
def _premium_of_fine_tuning_prices(frame: pd.DataFrame) -> pd.Series:
    kinds = ["input_usd_per_mtok", "cached_input_usd_per_mtok", "output_usd_per_mtok"]
    premiums = [frame[kind] - frame[f"base_{kind}"] for kind in kinds]
    return pd.concat(premiums, axis=1).fillna(0).min(axis=1) >= 0


@rule("fine_tuning_prices", says="prices of tuned and base model both given, or neither")
def _pairs_of_fine_tuning_prices(frame: pd.DataFrame) -> pd.Series:
    kinds = ["input_usd_per_mtok", "cached_input_usd_per_mtok", "output_usd_per_mtok"]
    pairs = [frame[kind].isna() == frame[f"base_{kind}"].isna() for kind in kinds]
    return pd.concat(pairs, axis=1).all(axis=1)


@rule("embedding_prices", says="a batch no dearer than single requests")
def _batch_of_embedding_prices(frame: pd.DataFrame) -> pd.Series:
    batch = frame["batch_usd_per_mtok"]
    return batch.isna() | (batch <= frame["usd_per_mtok"])


@rule("reranker_prices", says="a price by the search, with its documents, or by the token")
def _billed_of_reranker_prices(frame: pd.DataFrame) -> pd.Series:
    by_search = frame["usd_per_search"].notna()
    return (by_search != frame["usd_per_mtok"].notna()) & (
        by_search == frame["documents_per_search"].notna()
    )


@rule("forgetting", says="scores as fractions")
def _fractions_of_forgetting(frame: pd.DataFrame) -> pd.Series:
    loss = frame["measure"].str.endswith("-nats")
    return loss | (frame[["before", "after"]].max(axis=1) <= 1)


@rule("fact_change", says="the share between its low and its high")
def _between_of_fact_change(frame: pd.DataFrame) -> pd.Series:
    low = frame["share_low"].fillna(frame["share"])
    high = frame["share_high"].fillna(frame["share"])
    return (low <= frame["share"]) & (frame["share"] <= high)


@rule("silicon", says="low <= value <= high, and low < high")
def _ordered_of_silicon(frame: pd.DataFrame) -> pd.Series:
    inside = (frame["low"] <= frame["value"]) & (frame["value"] <= frame["high"])
    return inside & (frame["low"] < frame["high"])


@rule("published_choices", says="low at most high, and at least one of them")
def _bounds_of_published_choices(frame: pd.DataFrame) -> pd.Series:
    low, high = frame["low"], frame["high"]
    return (low <= high) | (low.isna() ^ high.isna())


@rule("choice_checks", says="a cost by enumeration if and only if the problem is feasible")
def _found_of_choice_checks(frame: pd.DataFrame) -> pd.Series:
    return frame["exact_cost"].isna() == (frame["kind"] == "infeasible")


@rule("loss_measurements", says="6 FLOPs a parameter and token")
def _flops_of_loss_measurements(frame: pd.DataFrame) -> pd.Series:
    counted = 6.0 * frame["parameters"] * frame["tokens"]
    return (counted / frame["training_flop"] - 1.0).abs() < 1e-3
