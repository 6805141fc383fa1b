"""What retrieval, reading, fine-tuning and forgetting are said to be, in the tables on them."""

from functools import cache
from pathlib import Path

import pandas as pd
import pytest

from llmecon.errors import InputError
from llmecon.tables import schemas

DATA = Path(__file__).resolve().parents[2] / "data"


@cache
def read(name: str) -> pd.DataFrame:
    return schemas.validate(name, pd.read_csv(DATA / f"{name}.csv"))


def test_recall_that_falls_is_refused() -> None:
    frame = pd.read_csv(DATA / "retrieval.csv")
    last = frame.groupby("curve")["k"].idxmax()["bm25-nq-pyserini"]
    frame.loc[last, "recall"] = 0.5
    with pytest.raises(InputError, match=r"retrieval\.csv.*recall that grows with k"):
        schemas.validate("retrieval", frame)


def test_a_curve_is_of_one_retriever_on_one_dataset() -> None:
    rows = read("retrieval").groupby("curve")
    columns = ["retriever", "kind", "dataset", "measure", "corpus_passages", "source"]
    assert (rows[columns].nunique(dropna=False) == 1).all(axis=None)


def test_enough_of_the_curves_reach_from_few_passages_to_many() -> None:
    ends = read("retrieval").groupby("curve")["k"].agg(["min", "max"])
    assert ((ends["min"] <= 5) & (ends["max"] >= 100)).sum() >= 10


def test_reranking_finds_more_than_what_it_reranks() -> None:
    at = read("retrieval").set_index(["curve", "k"])["recall"]
    for better, worse in [
        ("upr-t0-nq-dev-sachan", "bm25-nq-dev-sachan"),
        ("voyage-02-reranked-multihop", "voyage-02-multihop"),
        ("contextual-reranked-anthropic", "contextual-hybrid-anthropic"),
        ("reranked-code-anthropic", "contextual-hybrid-code-anthropic"),
        ("contextual-hybrid-code-anthropic", "contextual-code-anthropic"),
    ]:
        assert (at[better] > at[worse]).all(), better


def test_rerankers_are_billed_by_the_search_or_by_the_token() -> None:
    frame = pd.read_csv(DATA / "reranker_prices.csv")
    frame.loc[0, "usd_per_mtok"] = 0.05
    with pytest.raises(InputError, match="by the search"):
        schemas.validate("reranker_prices", frame)


def test_readers_do_best_with_the_right_passage_alone() -> None:
    rows = read("reading").query("dataset == 'nq-open'")
    for reader, of in rows.groupby("reader"):
        value = of.set_index("context")["value"]
        assert value["closed-book"] < value["oracle"], reader
        assert (value["with-distractors"] < value["oracle"]).all(), reader


def test_more_passages_are_read_worse_on_average() -> None:
    rows = read("reading").query("dataset == 'nq-open' and context == 'with-distractors'")
    # Three places in each: first, the middle, last.
    share = (rows["gold_position"] - 1) / (rows["passages"] - 1)
    ends = rows[(share == 0) | (share == 1) | (rows["gold_position"] == rows["passages"] // 2)]
    mean = ends.groupby(["reader", "passages"])["value"].mean()
    for reader, of in mean.groupby("reader"):
        assert of.is_monotonic_decreasing, reader


def test_noise_costs_readers_and_few_decline() -> None:
    rows = read("reading").query("dataset == 'rgb-english'")
    of = rows[rows["measure"] == "accuracy"].set_index(["reader", "gold_passages"])["value"]
    by_noise = of.unstack()
    assert (by_noise[1] < by_noise[5] - 0.15).all()
    judged = rows[rows["measure"] == "declined"].set_index("reader")["value"]
    exact = rows[rows["measure"] == "declined-exactly"].set_index("reader")["value"]
    assert (exact < judged).all()
    assert judged.max() == 0.45


def test_misreading_is_worse_than_ignorance() -> None:
    of = read("reading").set_index("id")["value"]
    assert of["sufficient-gemma-insufficient"] > 6 * of["sufficient-gemma-closed-book"]
    assert of["rgb-chatgpt-known-counterfactual"] < of["rgb-chatgpt-known-closed-book"] / 5


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("nq-gpt-3.5-turbo-20-at-10", 0.538),
        ("nq-longchat-13b-16k-oracle", 0.834),
        ("nq-mpt-30b-instruct-30-at-15", 0.49),
        ("rgb-chatgpt-gold-1-of-5", 0.76),
        ("frames-gpt-oss-120b-single", 0.2),
    ],
)
def test_readings_traced_by_hand(key: str, value: float) -> None:
    assert read("reading").set_index("id").loc[key, "value"] == value


def test_a_tuned_model_below_its_base_price_is_refused() -> None:
    frame = pd.read_csv(DATA / "fine_tuning_prices.csv")
    frame.loc[0, "output_usd_per_mtok"] = 1.0
    with pytest.raises(InputError, match="no cheaper than its base"):
        schemas.validate("fine_tuning_prices", frame)


def test_premiums_on_tokens_lie_between_none_and_sixfold() -> None:
    rows = read("fine_tuning_prices").dropna(subset=["input_usd_per_mtok"])
    ratio = rows["input_usd_per_mtok"] / rows["base_input_usd_per_mtok"]
    assert (ratio[rows["provider"] == "Azure"] == 1).all()
    paid = ratio[rows["provider"] == "OpenAI"]
    assert paid.min() == pytest.approx(1.5)
    assert paid.max() == pytest.approx(6)
    # Whoever asks no premium on tokens bills the hours.
    assert (rows.loc[ratio == 1, "hosting_usd_per_hour"] > 0).all()


def test_every_offer_has_a_price_of_training_or_of_standing_ready() -> None:
    columns = ["training_usd_per_mtok", "training_usd_per_hour", "hosting_usd_per_hour"]
    assert read("fine_tuning_prices")[columns].notna().any(axis=1).all()


def test_tuning_all_weights_costs_more_than_low_rank() -> None:
    sizes = read("fine_tuning_prices").query("method in ['lora', 'full']")
    prices = sizes.pivot(index=["provider", "model"], columns="method")["training_usd_per_mtok"]
    both = prices.dropna()
    assert len(both) == 4
    assert (both["full"] > both["lora"]).all()


def test_tuned_and_embedding_prices_agree_with_those_of_hosted_models() -> None:
    hosted = read("api_prices").query("current == 1")
    embeddings = read("embedding_prices").set_index("id")["usd_per_mtok"]
    shared = hosted[hosted["kind"] == "embedding"].set_index("id")["input_usd_per_mtok"]
    assert len(shared) == 4
    assert list(embeddings[shared.index]) == list(shared)
    tuned = read("fine_tuning_prices").set_index("model")
    for _, of in hosted[hosted["id"].str.startswith("fine-tuned/gpt-4o")].iterrows():
        same = tuned.loc[of["id"].removeprefix("fine-tuned/")]
        for kind in ["input", "cached_input", "output"]:
            assert same[f"{kind}_usd_per_mtok"] == of[f"{kind}_usd_per_mtok"], of["id"]


def test_a_million_queries_of_a_gigabyte_cost_a_few_dollars() -> None:
    of = read("vector_store_prices").set_index("id")
    billed = of["least_gb_per_query"].fillna(0).clip(lower=1)
    cost = of["usd_per_million_queries"] + of["usd_per_million_queries_per_gb"] * billed
    assert cost.drop("openai-file-search").between(1, 20).all()
    assert cost["pinecone-standard"] == 16
    assert cost["s3-vectors-medium"] == 4.5


def test_every_comparison_has_something_to_compare() -> None:
    assert (read("adaptation_studies").groupby("study")["method"].nunique() >= 2).all()


def test_on_new_facts_retrieval_wins_and_tuning_takes_from_it() -> None:
    rows = read("adaptation_studies").query("questions == 'new-facts'")
    for model, of in rows.groupby("model"):
        value = of.set_index("method")["value"]
        assert value["rag"] > value["fine-tuned"].max() + 0.15, model
        assert (value["both"] < value["rag"]).all(), model


def test_studies_disagree_on_which_is_better_and_on_both() -> None:
    rows = read("adaptation_studies").query("model != 'GPT-3.5'")
    best = rows.pivot_table(index=["study", "model"], columns="method", values="value")
    compared = best.dropna(subset=["rag", "fine-tuned"])
    tuned = (compared["fine-tuned"] > compared["rag"]).mean()
    assert 0.1 < tuned < 0.6
    gain = (compared["both"] > compared[["rag", "fine-tuned"]].max(axis=1)).mean()
    assert 0.1 < gain < 0.9


def test_agriculture_gains_are_those_of_the_abstract() -> None:
    of = read("adaptation_studies").set_index("id")["value"]
    assert of["balaguer-fine-tuned"] - of["balaguer-base"] == pytest.approx(0.06)
    assert of["balaguer-both"] - of["balaguer-fine-tuned"] == pytest.approx(0.05)


def test_synthetic_text_teaches_four_fifths_of_what_retrieval_gives() -> None:
    of = read("adaptation_studies").set_index("id")["value"]
    learnt = of["entigraph-synthetic"] - of["entigraph-base"]
    found = of["entigraph-rag"] - of["entigraph-base"]
    assert learnt / found == pytest.approx(0.802, abs=5e-4)
    assert of["entigraph-plain"] < of["entigraph-base"]


def test_replay_trades_old_against_new() -> None:
    for study in ("ibrahim-weak", "ibrahim-strong"):
        rows = read("forgetting").query("study == @study").sort_values("replay_share")
        old = rows[rows["measure"] == "old-loss-nats"]
        assert len(old) == 6
        assert old["after"].is_monotonic_decreasing, study
        assert rows[rows["measure"] == "new-loss-nats"]["after"].is_monotonic_increasing, study
        forgot = (old["after"] - old["before"]).to_numpy()
        # A hundredth of replay already takes a third of the forgetting away.
        assert forgot[2 if study == "ibrahim-weak" else 1] < 0.7 * forgot[0], study


def test_without_replay_everything_old_gets_worse() -> None:
    rows = read("forgetting").query("replay_share == 0").dropna(subset=["before"])
    loss = rows["measure"].str.endswith("-nats")
    assert (rows["after"] < rows["before"])[~loss].all()
    assert (rows["after"] > rows["before"])[loss].all()


def test_low_rank_forgets_less_and_learns_no_more() -> None:
    rows = read("forgetting")
    rows = rows[rows["study"].str.startswith("biderman")]
    of = rows.pivot(index=["study", "measure"], columns="method", values="after")
    general = of.index.get_level_values("measure") == "general"
    assert (of["lora"] > of["full"])[general].all()
    assert (of["lora"] <= of["full"] + 0.001)[~general].all()


def test_monthly_change_follows_from_its_row() -> None:
    for _, of in read("fact_change").iterrows():
        stays = (1 - of["share"]) ** (1 / of["months"])
        assert of["share_per_month"] == pytest.approx(1 - stays, rel=1e-3), of["id"]


def test_conclusions_outlast_pages() -> None:
    monthly = read("fact_change").set_index("id")["share_per_month"]
    outdated = read("fact_change").query("change == 'outdated'").set_index("id")
    assert outdated["share_per_month"].between(0.004, 0.015).all()
    assert (monthly[["wikipedia-articles", "web-replaced", "web-cho"]] > 0.04).all()


def test_medicine_dates_ever_more_slowly() -> None:
    rows = read("fact_change").query("corpus == 'medicine'").sort_values("months")
    for source, of in rows.groupby("source"):
        assert of["share"].is_monotonic_increasing, source
        assert of["share_per_month"].is_monotonic_decreasing, source


@pytest.mark.parametrize(
    ("table", "unchecked"),
    [
        ("adaptation_studies", {f"balaguer-{m}" for m in ("base", "fine-tuned", "rag", "both")}),
        ("reading", set()),
        ("forgetting", set()),
        ("fact_change", set()),
        ("fine_tuning_prices", set()),
        ("embedding_prices", set()),
        ("vector_store_prices", set()),
    ],
)
def test_what_was_not_read_is_marked(table: str, unchecked: set[str]) -> None:
    rows = read(table)
    assert set(rows.loc[~rows["checked"], "id"]) == unchecked
