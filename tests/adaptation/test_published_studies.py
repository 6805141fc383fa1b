"""Published studies as constants: fits near their points, and numbers redone by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from llmecon.adaptation import knowledge, published_studies
from llmecon.errors import InputError
from llmecon.tables import catalog


@pytest.mark.parametrize("name", published_studies.retrievers())
def test_fitted_recall_is_near_what_was_published(name: str) -> None:
    fitted = published_studies.retriever(name)
    rows = catalog.table("retrieval").query("curve == @name and k <= 100")
    for row in rows.itertuples():
        found = knowledge.recall(
            fitted.retriever, jnp.asarray(float(row.k)), jnp.asarray(knowledge.PASSAGE)
        )
        assert float(found) == pytest.approx(row.recall, abs=fitted.error + 1e-9)
    assert fitted.points == len(rows)
    assert fitted.error < 0.04
    assert float(fitted.retriever.decline) > 0.0


def test_a_dense_retriever_by_hand() -> None:
    """Misses of 0.216 and 0.146 at 20 and 100 passages: two points, so the line meets both."""
    fitted = published_studies.retriever("dpr-nq-karpukhin")
    assert fitted.error < 1e-9
    assert float(fitted.retriever.decline) == pytest.approx(np.log(0.216 / 0.146) / np.log(5.0))
    assert float(fitted.retriever.first) == pytest.approx(1.0 - 0.216 * 20.0**0.24338, abs=1e-4)


def test_a_reranked_search_by_hand() -> None:
    """Misses of 8.76, 5.21 and 3.7% at 5, 10 and 20: a slope of about -0.62, 77% found first."""
    fitted = published_studies.retriever("reranked-code-anthropic")
    assert float(fitted.retriever.decline) == pytest.approx(0.6217, abs=1e-3)
    assert float(fitted.retriever.first) == pytest.approx(0.7687, abs=1e-3)
    assert fitted.error < 0.005


def test_what_cannot_be_found_is_said() -> None:
    with pytest.raises(InputError, match="use one of bm25-nq-dev-sachan"):
        published_studies.retriever("oracle")
    with pytest.raises(InputError, match="use less than 21"):
        published_studies.retriever("dpr-nq-karpukhin", span=40.0)


def test_reading_by_hand() -> None:
    """75.8, 57.2, 53.8, 55.4 and 63.2 among twenty, 88.3 alone: an exponent of 0.13."""
    rows = published_studies.reading().set_index(["reader", "passages"])
    row = rows.loc[("GPT-3.5-Turbo-0613", 20)]
    assert row["alone"] == 0.883
    assert row["among"] == pytest.approx(0.6108)
    exponent = np.log(0.883 / 0.6108) / np.log(20.0 / 2**0.25)
    assert row["distraction"] == pytest.approx(exponent, rel=1e-5)
    assert rows["distraction"].between(0.05, 0.2).all()


def test_learning_by_hand() -> None:
    """Of four choices, 0.481, 0.504 and 0.588 right are 0.308, 0.339 and 0.451 known."""
    row = published_studies.learning().set_index("model").loc["Mistral-7B"]
    for exposures, known in ((1.0, 0.338667), (10.0, 0.450667)):
        taught = (known - 0.308) / (1.0 - 0.308)
        law = row["ceiling"] * -np.expm1(-exposures / row["exposures"])
        assert law == pytest.approx(taught, rel=1e-3)
    assert 0.2 < row["ceiling"] < 0.25


def test_one_measured_share_stands_for_the_ceiling() -> None:
    found = published_studies.learning().set_index("model")
    # Where one exposure did harm nothing tells how fast it goes.
    assert np.isnan(found.loc["Llama-2-7B", "exposures"])
    entigraph = found.loc["Llama-3-8B"]
    before, after = ((right - 0.25) / 0.75 for right in (0.3949, 0.5622))
    assert entigraph["ceiling"] == pytest.approx((after - before) / (1.0 - before))


def test_forgetting_and_its_relief_by_hand() -> None:
    """0.3677 fell to 0.2728 over five tasks; a loss of 0.27 nats to 0.06 with 5% replayed."""
    lost = published_studies.forgetting()
    assert lost["luo-bloomz-1.1b-reading"] == pytest.approx(1.0 - (0.2728 / 0.3677) ** 0.2)
    relief = published_studies.relief()
    assert relief["ibrahim-weak-5-old"] == pytest.approx(0.05 / np.log(0.27 / 0.06))
    assert "ibrahim-weak-50-old" not in relief.index  # nothing was forgotten there


def test_refusing_and_adapting_by_hand() -> None:
    assert published_studies.misreading()["ChatGPT (gpt-3.5-turbo)"] == pytest.approx(0.55)
    learnt = published_studies.adapters()
    assert learnt["biderman-code-pretraining"] == pytest.approx(0.224 / 0.263)
    assert learnt.max() == 1.0


def test_a_search_differs_between_sets_of_questions() -> None:
    shifts = published_studies.transfer()
    assert set(shifts.index) == {"bm25", "dkrr", "dpr", "gar-dkrr", "hybrid"}
    assert shifts["bm25"] == shifts.max()


def test_studies_disagree_about_doing_both() -> None:
    found = published_studies.tuned_reading().set_index("study")
    assert not found.loc["ovadia-current-events", "helped"].any()
    assert found.loc["balaguer-agriculture", "helped"]
    odds = found.loc["balaguer-agriculture", "odds"]
    assert odds == pytest.approx((0.86 / 0.14) / (0.8 / 0.2))
