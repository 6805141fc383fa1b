"""Prose that follows the numbers: what templates may hold, and how they cite."""

import re

import pytest

from llmecon import paths
from llmecon.publishing import prose
from llmecon.publishing.prose import results

TEMPLATES = sorted((paths.NOTEBOOKS / "prose").rglob("*.md"))
PACKAGE = paths.NOTEBOOKS.parent / "llmecon"


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_template_holds_no_role(template):
    # What a notebook computes is shown as plain Markdown, in which roles stay as they are typed.
    assert not re.findall(r"\{[\w:-]+\}`", template.read_text(encoding="utf-8"))


@pytest.mark.parametrize("folder", ["publishing", "studies"])
def test_no_module_computes_a_role(folder):
    for file in (PACKAGE / folder).rglob("*.py"):
        assert not re.findall(r"\{(?:cite|term|ref|doc)\b[\w:-]*\}", file.read_text("utf-8")), file


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_what_a_template_cites_is_in_the_bibliography(template):
    known = re.findall(r"^@\w+\{(\w+),", (paths.BOOK / "references.bib").read_text("utf-8"), re.M)
    cited = re.findall(r'"([\w;]+)"\|cited', template.read_text(encoding="utf-8"))
    assert {key for keys in cited for key in keys.split(";")} <= set(known)


def test_a_source_in_prose_is_what_the_site_links(monkeypatch):
    said = []
    monkeypatch.setattr(results, "display", said.append)
    results.say(f"so <b>it</b> is {prose.cited('Kwon2023;Little1961')}")
    keys = [f'<cite class="llmecon-source">{key}</cite>' for key in ("Kwon2023", "Little1961")]
    assert said[0].data == f"so &lt;b>it&lt;/b> is ({keys[0]}, {keys[1]})"


def test_a_name_that_looks_like_a_source_is_text(monkeypatch):
    said = []
    monkeypatch.setattr(results, "display", said.append)
    results.say('<cite class="llmecon-source"><img src=x></cite>')
    assert "<" not in said[0].data


NOUNS = r"(?:requests|months|devices|instances|answers|questions)\b"


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_what_may_be_one_is_counted_with_its_noun(template):
    """`count` and `quantity` know a singular; a plural typed after a number doesn't."""
    typed = rf"\|number(?:\(\d\))? \}}\}}\s{NOUNS}"
    assert not re.findall(typed, template.read_text(encoding="utf-8"))


@pytest.mark.parametrize("folder", ["publishing/chapters", "studies"])
def test_labels_count_with_a_noun(folder):
    typed = rf"(?::g|number\([^{{}}]*\))\}} {NOUNS}"
    for file in (PACKAGE / folder).rglob("*.py"):
        assert not re.findall(typed, file.read_text("utf-8")), file
