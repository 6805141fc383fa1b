"""Published studies as constants: fits near their points, and numbers redone by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from llmecon import catalog, knowledge, studies
from llmecon.errors import InputError


@pytest.mark.parametrize("name", studies.retrievers())
def test_fitted_recall_is_near_what_was_published(name: str) -> None:
    fitted = studies.retriever(name)
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
    fitted = studies.retriever("dpr-nq-karpukhin")
    assert fitted.error < 1e-9
    assert float(fitted.retriever.decline) == pytest.approx(np.log(0.216 / 0.146) / np.log(5.0))
    assert float(fitted.retriever.first) == pytest.approx(1.0 - 0.216 * 20.0**0.24338, abs=1e-4)


def test_what_cannot_be_found_is_said() -> None:
    with pytest.raises(InputError, match="use one of bm25-nq-dev-sachan"):
        studies.retriever("oracle")
    with pytest.raises(InputError, match="use less than 21"):
        studies.retriever("dpr-nq-karpukhin", span=40.0)


def test_reading_by_hand() -> None:
    """75.8, 57.2, 53.8, 55.4 and 63.2 among twenty, 88.3 alone: a fall of 0.123 in the exponent."""
    rows = studies.reading().set_index(["reader", "passages"])
    row = rows.loc[("GPT-3.5-Turbo-0613", 20)]
    assert row["alone"] == 0.883
    assert row["among"] == pytest.approx(0.6108)
    assert row["distraction"] == pytest.approx(np.log(0.883 / 0.6108) / np.log(20.0))
    assert rows["distraction"].between(0.05, 0.2).all()


def test_learning_by_hand() -> None:
    """Of four choices, 0.481 and 0.588 right are 0.308 and 0.451 known: 21% of the rest learned."""
    row = studies.learning().query("model == 'Mistral-7B' and exposures == 10").iloc[0]
    assert row["share"] == pytest.approx((0.450667 - 0.308) / (1.0 - 0.308), rel=1e-3)
    assert row["needed"] == pytest.approx(10.0 / -np.log(1.0 - row["share"]))
    assert 40.0 < row["needed"] < 45.0
    # Where tuning did harm, no number of exposures would do.
    plain = studies.learning().query("model == 'Llama-2-7B' and exposures == 1").iloc[0]
    assert plain["share"] == 0.0
    assert np.isinf(plain["needed"])


def test_studies_disagree_about_doing_both() -> None:
    found = studies.tuned_reading().set_index("study")
    assert not found.loc["ovadia-current-events", "helped"].any()
    assert found.loc["balaguer-agriculture", "helped"]
    odds = found.loc["balaguer-agriculture", "odds"]
    assert odds == pytest.approx((0.86 / 0.14) / (0.8 / 0.2))
