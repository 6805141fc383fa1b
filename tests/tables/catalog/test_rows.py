"""Tables and ids: what is unknown gets one helpful line."""

import pytest

from llmecon.errors import InputError
from llmecon.tables import catalog


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


def test_preferred_vintage_of_a_grid_is_unique() -> None:
    listed = catalog.ids("grid")
    assert len(listed) == len(set(listed))
