"""The declaration of the tables' columns, and the schemas made from it."""

import csv
import re
from pathlib import Path

import pandas as pd
import pandera.pandas as pa
import pytest

from llmecon import paths
from llmecon.errors import InputError
from llmecon.publishing.build import data_package
from llmecon.tables import columns, row_rules, schemas

HEADER = "table,column,type,unit,range,choices,key,nullable,refers_to,meaning"


@pytest.fixture
def declare(tmp_path, monkeypatch):
    """Makes some rows the declaration of the tables."""

    def declared(*rows: str, header: str = HEADER) -> Path:
        (tmp_path / "columns.csv").write_text("\n".join([header, *rows]) + "\n")
        monkeypatch.setattr(paths, "DATA", tmp_path)
        return tmp_path

    return declared


def test_a_row_becomes_a_column(declare):
    declare(
        'birds,pitch,number,Hz,"[-1.5, inf)",,joint,true,,lowest tone',
        "birds,kind,text,,,songbird (it sings); owl,,false,,",
        "birds,month,month,,,,,false,,",
        "owls,bird,slug,,,,unique,false,birds.kind,",
        "*,source,sources,,,,,false,,",
    )
    pitch, kind, _, source = columns.tables()["birds"]
    assert pitch.range == columns.Range(-1.5, float("inf"), with_low=True, with_high=False)
    assert (pitch.unit, pitch.key, pitch.nullable) == ("Hz", "joint", True)
    assert kind.choices == {"songbird": "it sings", "owl": ""}
    assert source.type == "sources"
    assert columns.tables()["owls"][0].refers_to == ("birds", "kind")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("birds,low,float,,,,,false,,", "column type: found 'float', expected one of text"),
        ("birds,low,text,Hz,,,,false,,", "column unit: found 'Hz', expected nothing"),
        ('birds,low,text,,"[0, 1]",,,false,,', "column range: .* only numbers"),
        ("birds,low,number,,0 to 1,,,false,,", r"column range: found '0 to 1', expected an int"),
        ('birds,low,number,,"[1, 0]",,,false,,', "column range: .*above its start"),
        ('birds,low,number,,"[1.., 2]",,,false,,', "column range: .*an interval whose"),
        ('birds,low,number,,"[0, 1]",0; 1,,false,,', "column range: .*without choices"),
        ("birds,low,text,,,a; a,,false,,", "column choices: .*different cells"),
        ("birds,low,text,,,a (b,,false,,", "column choices: .*each with words in"),
        ("birds,low,integer,,,low; high,,false,,", "column choices: .*whole numbers"),
        ("birds,low,text,,,,primary,false,,", "column key: found 'primary', expected unique"),
        ("birds,low,text,,,,,,,", "column nullable: found nothing, expected true or false"),
        ("birds,low,slug,,,,,false,xpus,", r"column refers_to: .*\(such as xpus\.id\)"),
        ("birds,id,text,,,,,false,,", "column column: .*once a table"),
        ("birds,low,text", "it must have 10 cells"),
    ],
)
def test_a_wrong_row_is_refused_in_one_line(declare, row, message):
    declare("birds,id,slug,,,,unique,false,,", row)
    with pytest.raises(InputError, match=rf"^columns\.csv, row 3( \(birds \w+\), |: ){message}"):
        columns.tables()


def test_a_reference_to_nothing_is_refused(declare):
    declare("birds,kind,slug,,,,,false,kinds.id,")
    with pytest.raises(InputError, match=r"\(birds kind\).*doesn't declare kinds\.id"):
        columns.tables()


def test_another_header_is_refused(declare):
    declare(header="table,column")
    with pytest.raises(InputError, match="its header must be table,column,type"):
        columns.tables()


def test_every_table_is_declared_in_the_order_of_its_columns():
    assert {file.stem for file in paths.DATA.glob("*.csv")} == set(columns.tables())
    for table, declared in columns.tables().items():
        with (paths.DATA / f"{table}.csv").open(encoding="utf-8", newline="") as file:
            assert next(csv.reader(file)) == [column.name for column in declared], table


def test_rules_are_of_tables_and_say_different_things():
    assert set(row_rules.RULES) <= set(columns.tables())
    for table, rules in row_rules.RULES.items():
        assert len({rule.says for rule in rules}) == len(rules), table


def test_lists_and_descriptor_are_up_to_date():
    for name, made in (
        ("README.md", data_package.readme()),
        ("datapackage.json", data_package.descriptor()),
    ):
        committed = (paths.DATA / name).read_text(encoding="utf-8")
        assert committed == made, f"data/{name} is not what columns.csv says: run make tables"


CELLS = [
    ('n,number,m,"[0, 1]",,,false,,', "number from 0 to 1 [m]"),
    ('n,number,,"(0, inf)",,,true,,', "number above 0, or empty"),
    ('n,integer,,"[1, inf)",,,false,,', "whole number, at least 1"),
    ('n,number,,"[0, 1)",,,false,,', "number, at least 0, below 1"),
    ('n,number,,"(-inf, 1e12]",,,false,,', "number, at most 1e12"),
    ("n,integer,,,0; 1,,false,,", "`0` or `1`"),
    ("n,text,,,a (b); c; d,,true,,", "`a` (b), `c` or `d`, or empty"),
    ("n,slug,,,,unique,false,,", "id, each once"),
    ("n,slug,,,,,true,t.n,", "n of t.csv, or empty"),
    ("n,month or year,,,,,false,,", "YYYY-MM or YYYY"),
]


@pytest.mark.parametrize(("row", "words"), CELLS)
def test_cells_are_described_in_words(declare, row, words):
    declare(f"t,{row}")
    assert data_package.cells(columns.tables()["t"][0]) == words


def test_a_section_without_a_list_gets_one(declare):
    folder = declare("birds,id,slug,,,,unique,false,,a|b", "*,note,text,,,,,true,,")
    (folder / "README.md").write_text("# Tables\n\n## birds.csv: what sings\n\nThey sing.\n")
    made = data_package.readme()
    assert "They sing.\n\n| column | cells | meaning |\n" in made
    assert made.count("| `note` | text, or empty |  |") == 1
    assert r"| `id` | id, each once | a\|b |" in made


def test_the_descriptor_names_keys_and_references():
    (models,) = [of for of in data_package.package()["resources"] if of["name"] == "models"]
    (energy,) = [
        of for of in data_package.package()["resources"] if of["name"] == "measured_serving"
    ]
    assert models["schema"]["primaryKey"] == ["id"]
    by_name = {field["name"]: field for field in models["schema"]["fields"]}
    assert by_name["layers"]["constraints"] == {"required": True, "minimum": 1, "maximum": 500}
    assert by_name["attention"]["constraints"]["enum"] == ["MHA", "MQA", "GQA", "MLA"]
    reference = {"resource": "xpus", "fields": ["id"]}
    assert {"fields": ["xpu"], "reference": reference} in energy["schema"]["foreignKeys"]


# A way to break each kind of column, and what a refusal then expects.
def broken(column: columns.Column) -> list[tuple[object, str]]:
    ways: list[tuple[object, str]] = []
    if not column.nullable and column.type != "boolean":
        ways.append((None, "a whole number" if column.type == "integer" else "a value"))
    if column.type in columns.NUMBERS:
        ways.append(("much", "number"))
    if column.type == "integer":
        ways.append((3.5, "a whole number"))
    if column.type == "boolean":
        ways.append(("maybe", "true or false"))
    if column.type in columns.PATTERNS:
        ways.append(("? !", columns.PATTERNS[column.type][1]))
    if column.choices:
        wrong = -99 if column.type in columns.NUMBERS else "? !"
        ways.append((wrong, "one of " + ", ".join(column.choices)))
    if (within := column.range) and within.low > float("-inf"):
        wrong = within.low - 1 if within.with_low else within.low
        ways.append((wrong, "at least" if within.with_low else "more than"))
    if within and within.high < float("inf"):
        wrong = within.high * 2 if within.with_high else within.high
        ways.append((wrong, "at most" if within.with_high else "less than"))
    return ways


@pytest.mark.slow
@pytest.mark.parametrize("table", schemas.names())
def test_every_kind_of_wrong_cell_is_refused_in_one_line(table, monkeypatch):
    whole = pd.read_csv(paths.DATA / f"{table}.csv", nrows=40).astype(object)
    row = len(whole) // 2
    every = schemas.schema(table)
    for column in columns.tables()[table]:
        # Cells of other columns are as they were, and checking them takes most of the time.
        alone = pa.DataFrameSchema(
            {column.name: every.columns[column.name]}, checks=every.checks, unique=every.unique
        )
        monkeypatch.setattr(schemas, "schema", lambda _, alone=alone: alone)
        for cell, expected in broken(column):
            frame = whole.copy()
            frame.loc[row, column.name] = cell
            with pytest.raises(InputError) as refused:
                schemas.validate(table, frame.infer_objects())
            message = str(refused.value)
            assert message.startswith(f"{table}.csv, row {row + 2} ("), message
            assert f"column {column.name}: found" in message, message
            assert expected in message, message
            assert "\n" not in message


@pytest.mark.slow
@pytest.mark.parametrize("table", schemas.names())
def test_rows_that_repeat_a_key_are_refused(table):
    keys = {column.key for column in columns.tables()[table]} - {""}
    frame = pd.read_csv(paths.DATA / f"{table}.csv")
    twice = pd.concat([frame, frame.iloc[-1:]], ignore_index=True)
    if keys:
        with pytest.raises(InputError, match=rf"^{table}\.csv.*occurs once"):
            schemas.validate(table, twice)


BROKEN_RULES = [
    ("models", {"parameters_active_b": 9000.0}, "active parameters"),
    ("xpus", {"idle_w": 5000.0, "tdp_w": 100.0}, "idle power"),
    ("rental_prices", {"contract": "assumption", "tier": "neocloud"}, "assumptions"),
    ("api_prices", {"cached_input_usd_per_mtok": 999.0}, "cached input"),
    ("facilities", {"market_g_co2e_per_kwh": 1.0, "market_basis": None}, "market-based"),
    ("network_energy", {"kind": "per-byte", "w": 5.0}, "kWh/GB"),
    ("efficiencies", {"low": 2.0, "value": 1.0, "high": 3.0}, "low <= value"),
    ("scenarios", {"low_per_year": 2.0, "mid_per_year": 1.0}, "low < mid"),
    ("loss_laws", {"low": 1e9}, "low <= value"),
    ("published_choices", {"low": 3.0, "high": 2.0}, "low at most high"),
    ("loss_measurements", {"training_flop": 2e15}, "6 FLOPs"),
    ("silicon", {"low": 2.0, "value": 2.0, "high": 2.0}, "low < high"),
]


@pytest.mark.parametrize(("table", "cells", "says"), BROKEN_RULES)
def test_rows_that_break_a_rule_are_refused(table, cells, says):
    frame = pd.read_csv(paths.DATA / f"{table}.csv").astype(object)
    for column, cell in cells.items():
        frame.loc[3, column] = cell
    with pytest.raises(InputError, match=re.escape("it must hold that: ")) as refused:
        schemas.validate(table, frame.infer_objects())
    assert says in str(refused.value)
    assert str(refused.value).startswith(f"{table}.csv, row 5 (")
