"""The pages of tables and modules, made from their sources."""

import ast
import csv
import importlib
import pkgutil

import pytest
import yaml
from docutils import frontend, nodes, utils
from docutils.parsers import rst
from sphinx.ext import napoleon

import llmecon
from llmecon import paths, studies
from llmecon.publishing.build import appendices

README = """# The tables

## birds.csv: what sings

They sing.

| column | cells | meaning |
|---|---|---|
| `id` | as it was | |

At night, too.

## columns.csv: what they hold
"""
COLUMNS = """table,column,type,unit,range,choices,key,nullable,refers_to,meaning
birds,id,slug,,,,unique,false,,
birds,low,number,Hz,"(0, inf)",,,true,,lowest tone
birds,high,number,Hz,"(0, inf)",,,false,,
*,source,sources,,,,,false,,where it was read
*,checked,boolean,,,,,false,,
columns,table,text,,,,,false,,
"""


@pytest.fixture
def birds(tmp_path, monkeypatch):
    (tmp_path / "README.md").write_text(README)
    (tmp_path / "columns.csv").write_text(COLUMNS)
    (tmp_path / "birds.csv").write_text(
        'id,low,high,source,checked\nwren,2000,7000,A,true\ncrow,,"1,000",B,false\n'
    )
    monkeypatch.setattr(paths, "DATA", tmp_path)
    return tmp_path


def test_table_is_read_with_its_description(birds):
    table = appendices.table("birds")
    assert table.title == "What sings"
    assert table.described == {
        "low": "lowest tone [Hz]",
        "high": "[Hz]",
        "source": "where it was read",
    }
    assert table.rows[1] == ("crow", "", "1,000", "B", "false")
    assert table.unchecked == 1


def test_table_without_a_description_is_refused(birds):
    (birds / "fish.csv").write_text("id\ncod\n")
    with pytest.raises(LookupError, match=r"fish\.csv"):
        appendices.tables()


def test_a_new_table_gets_its_page_and_its_line(birds, tmp_path):
    stage = tmp_path / "stage"
    stage.mkdir()
    (stage / "data.md").write_text("# Data\n\n<!-- tables -->\n")
    appendices.write(stage)
    assert "| [birds](data/birds.md) | What sings | 2 | 1 |" in (stage / "data.md").read_text()
    page = (stage / "data" / "birds.md").read_text()
    prose, _, columns = page.partition("## Columns")
    assert "```{datatable} birds" in prose
    assert "They sing." in prose
    assert "At night, too." in prose
    assert "| `low` | number above 0 [Hz], or empty | lowest tone |" in columns
    assert "as it was" not in page


def test_every_table_counts_its_rows_and_its_doubts():
    for table in appendices.tables():
        with (paths.DATA / f"{table.name}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(table.rows) == len(rows)
        if "checked" in table.columns:
            assert table.unchecked == sum(row["checked"] == "false" for row in rows)


CHAPTERS = [chapter.replace("-", "_") for chapter in studies.CHAPTERS]
PUBLIC = ("scenario", "model", "study")


def test_every_package_says_what_a_reader_finds_in_it():
    assert "Others" not in appendices.modules()


def test_modules_are_those_that_can_be_imported():
    listed = {name: about for of in appendices.modules().values() for name, about in of.items()}
    found = {
        module.name
        for module in pkgutil.walk_packages(llmecon.__path__, "llmecon.")
        if not module.ispkg and module.name not in ("llmecon.cli", "llmecon.__main__")
    }
    # What only a chapter's charts use has no page, but what a chapter asks and answers has.
    unlisted = found - set(listed)
    assert set(listed) < found
    assert all(
        name.startswith(("llmecon.publishing.chapters.", "llmecon.studies.")) for name in unlisted
    )
    public = {f"llmecon.studies.{chapter}.{module}" for chapter in CHAPTERS for module in PUBLIC}
    assert public <= set(listed)
    for name in ("llmecon.physics.roofline", "llmecon.words"):
        documented = importlib.import_module(name).__doc__
        assert documented is not None
        assert documented.startswith(listed[name])


def test_a_new_module_needs_no_edit(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "LIBRARY", tmp_path)
    for package in ("physics", "brand_new"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")
    (tmp_path / "physics" / "roofline.py").write_text('"""Known."""\n')
    (tmp_path / "brand_new" / "module.py").write_text('"""Unheard of.\n\nMore."""\n')
    (tmp_path / "physics" / "_hidden.py").write_text("")
    assert appendices.modules() == {
        "Time and energy of a pass": {"llmecon.physics.roofline": "Known."},
        "Others": {"llmecon.brand_new.module": "Unheard of."},
    }


def test_contents_list_packages_with_their_modules_by_short_names(tmp_path, monkeypatch):
    library, stage = tmp_path / "llmecon", tmp_path / "stage"
    for file in ("numerics.py", "physics/roofline.py", "tables/catalog/rows.py"):
        (library / file).parent.mkdir(parents=True, exist_ok=True)
        (library / file).write_text('"""About."""\n')
    monkeypatch.setattr(paths, "LIBRARY", library)
    stage.mkdir()
    (stage / "api.md").write_text("# API\n\n<!-- modules -->\n")
    (stage / "_toc.yml").write_text(
        "root: index\nchapters:\n- file: api\n  sections:\n  - glob: api/*\n"
    )
    appendices.write(stage)
    contents = yaml.safe_load((stage / "_toc.yml").read_text())
    assert contents["chapters"][0]["sections"] == [
        {"file": "api/numerics", "title": "numerics"},
        {
            "file": "api/physics",
            "title": "physics",
            "sections": [{"file": "api/physics-roofline", "title": "roofline"}],
        },
        {
            "file": "api/tables",
            "title": "tables",
            "sections": [{"file": "api/tables-catalog-rows", "title": "catalog.\u200brows"}],
        },
    ]
    pages = {str(page.relative_to(stage)) for page in (stage / "api").glob("*.md")}
    assert "api/tables-catalog-rows.md" in pages


def _docstrings():
    for file in sorted(paths.LIBRARY.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            kinds = ast.Module | ast.ClassDef | ast.FunctionDef
            if isinstance(node, kinds) and (text := ast.get_docstring(node)):
                yield f"{file.stem}.{getattr(node, 'name', '')}", text


GOOGLE = napoleon.Config(napoleon_use_ivar=True)
READER = rst.Parser()
# Made once: what publishes a text makes them anew, which takes longer than to read a docstring.
SETTINGS = frontend.get_default_settings(rst.Parser)
SETTINGS.report_level = 5  # roles and directives of Sphinx are unknown here and don't matter


def _run_together(docstring: str) -> list[str]:
    """Indented blocks that a page would fill like prose, their lines run together."""
    tree = utils.new_document("docstring", SETTINGS)
    READER.parse(str(napoleon.GoogleDocstring(docstring, GOOGLE)), tree)
    return [block.astext() for block in tree.findall(nodes.block_quote)]


def test_lines_that_run_together_are_found():
    assert _run_together("The wait is\n\n    W = k g\n    g = 1\n") == ["W = k g\ng = 1"]
    assert _run_together("The wait is ::\n\n    W = k g\n    g = 1\n") == []


@pytest.mark.slow
def test_indented_formulas_of_the_library_keep_their_lines():
    found = {name: blocks for name, text in _docstrings() if (blocks := _run_together(text))}
    assert found == {}
