"""Parameters: declared, validated, saved, loaded."""

import pytest

from llmecon import inputs, studies
from llmecon.errors import InputError
from llmecon.publishing import scenario
from llmecon.studies.parameters import Scenario, identifier, number
from tests.conftest import PARAMETERS, Toy


def test_parameters_are_those_that_the_study_declares(toy_book):
    by_name = {p.name: p for p in scenario.chapter("fast-one").parameters}
    assert by_name["xpu"].table == "xpus"
    assert by_name["rivals"].several
    tokens = by_name["tokens"]
    assert (tokens.type, tokens.default, tokens.unit) == (float, 15e12, "tokens")
    assert (tokens.minimum, tokens.maximum) == (1, None)
    days = by_name["deadline_days"]
    assert (days.help, days.minimum, days.maximum) == ("wall-clock time allowed", 0.1, 3650)
    assert by_name["replicas"].unit == ""
    assert by_name["precision"].choices == ("bf16", "fp8", "fp4", "int4")


def test_the_cell_repeats_what_is_declared():
    assert PARAMETERS.splitlines() == [
        'xpu: str = "h100-sxm"  # accelerator to rent [xpu id]',
        'rivals: str = "h100-sxm, h200-sxm"  # accelerators to compare [xpu ids]',
        "tokens: float = 15e12  # training tokens [tokens]",
        "deadline_days: float = 90.0  # wall-clock time allowed [days, 0.1 to 3650]",
        "replicas: int = 2  # copies of the model [1 to 100]",
        'precision: str = "bf16"  # weights while serving [one of bf16, fp8, fp4, int4]',
        "spot: bool = False  # rent spare capacity [yes or no]",
    ]


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("tokens", "1e12", 1e12),
        ("tokens", 3, 3.0),
        ("replicas", "3", 3),
        ("replicas", 3.0, 3),
        ("spot", "true", True),
        ("spot", True, True),
        ("precision", "int4", "int4"),
        ("xpu", "h200-sxm", "h200-sxm"),
    ],
)
def test_accepted_forms(toy_book, name, given, value):
    values = scenario.validate(scenario.chapter("fast-one"), {name: given})
    assert values[name] == value
    assert type(values[name]) is type(value)


def test_all_that_is_wrong_is_said_at_once(toy_book):
    with pytest.raises(InputError) as refused:
        scenario.validate(scenario.chapter("fast-one"), {"tokens": -1, "replicas": 0, "tokns": 1})
    assert str(refused.value).count(";") >= 3
    for part in ("tokens: got -1", "replicas: got 0", "'tokns'; nearest: tokens"):
        assert part in str(refused.value)


def test_check_in_a_notebook(toy_book):
    defaults = scenario.validate(scenario.chapter("fast-one"), {})
    given = scenario.check("fast-one", {**defaults, "replicas": 7, "helper": 3, "In": [""]})
    assert given.replicas == 7
    with pytest.raises(InputError, match="replicas: got 700"):
        scenario.check("fast-one", {**defaults, "replicas": 700})


def test_check_notices_an_unknown_name_that_papermill_injected(toy_book):
    namespace = {"replica": 7, "In": ["", "replicas: int = 2", "# Parameters\nreplica = 7\n"]}
    with pytest.raises(InputError, match="'replica'; nearest: replicas"):
        scenario.check("fast-one", namespace)


def test_common_values_go_where_they_fit_and_yield_to_a_chapters_own(
    toy_book, tmp_path, monkeypatch
):
    class Slow(Scenario):
        tokens: float = number(1.0, "training tokens", "tokens")

    declared = {"fast-one": Toy, "slow-one": Slow}
    monkeypatch.setattr(studies, "scenario_of", declared.__getitem__)
    file = tmp_path / "mine.yaml"
    file.write_text("common: {tokens: 5, replicas: 3}\nchapters: {fast-one: {tokens: 7}}\n")
    parameters = scenario.load(file)
    assert parameters.name == "mine"
    assert parameters.values(scenario.chapter("fast-one")) == {"tokens": 7, "replicas": 3}
    assert parameters.values(scenario.chapter("slow-one")) == {"tokens": 5}


def test_saved_scenario_reproduces_the_values(toy_book, tmp_path):
    of = scenario.chapter("fast-one")
    values = scenario.validate(of, {"tokens": "1.5e25", "precision": "fp8", "spot": "yes"})
    scenario.save(of, values, tmp_path / "saved.yaml")
    assert scenario.validate(of, scenario.load(tmp_path / "saved.yaml").values(of)) == values


@pytest.mark.parametrize(
    ("slug", "values", "said"),
    [
        ("carbon", {"prompt_tokens": 9e5}, "llama-3.1-70b handles at most 131,072 tokens"),
        ("tokenomics", {"output_tokens": 9e5}, "llama-3.1-70b handles at most"),
        ("hardware-choice", {"long_prompt_tokens": 9e5}, "long_prompt_tokens and long_output"),
        ("hybrid-futures", {"near_model": "llama-2-7b", "prompt_tokens": 5e3}, "near_model"),
        ("validation", {"prompt_tokens": 1e5, "model": "llama-2-7b"}, "at most 4,096"),
        ("xpu-needs", {"prompt_tokens": 1e6}, "handles at most"),
        ("tokenomics", {"api": "gpt-nine"}, "api: 'gpt-nine' is not in the table api_prices"),
        ("rag-vs-ft", {"retriever": ""}, "retriever: '' is not in the table retrieval"),
        ("rag-vs-ft", {"retriever": "dpr-nq"}, "nearest: dpr-nq-released"),
        ("hybrid-futures", {"router_pair": "gpt-4"}, "nearest: gpt-4-mixtral"),
    ],
)
def test_the_book_s_chapters_refuse_at_once_and_name_the_parameter(slug, values, said):
    with pytest.raises(InputError) as refused:
        scenario.validate(scenario.chapter(slug), values)
    assert said in str(refused.value)


def test_every_id_of_the_book_s_chapters_is_looked_up_in_a_table():
    """No text parameter is free: it has choices, a table or a file that is read at once."""
    for of in scenario.chapters():
        for parameter in of.parameters:
            if parameter.type is str:
                free = not (parameter.choices or parameter.table or parameter.file)
                assert not free, (of.slug, parameter.name)
                if parameter.table:
                    assert inputs.ids(parameter.table, parameter.column)


def test_a_word_may_stand_in_place_of_an_id():
    class Asked(Scenario):
        rival: str = identifier("auto", "hosted rival", "api_prices", besides="auto")
        search: str = identifier("bm25-nq", "of a study", "retrieval", column="curve")

    rival, search = Asked.parameters()
    assert scenario.cell([rival, search]).splitlines() == [
        'rival: str = "auto"  # hosted rival [api price id or auto]',
        'search: str = "bm25-nq"  # of a study [curve of retrieval]',
    ]
    assert (rival.table, rival.besides) == ("api_prices", "auto")
    assert rival.allowed == "auto, or an id from: llmecon list api_prices"
    assert (search.table, search.column) == ("retrieval", "curve")
