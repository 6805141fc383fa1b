"""What a chapter lets its reader take along."""

import io

import book_chapters
import pytest
import yaml
from bs4 import BeautifulSoup
from pybtex.database.input import bibtex
from sphinx.errors import ConfigError

from llmecon import paths
from llmecon.publishing.build import execute

REPOSITORY = "https://github.com/someone/book"
NOTEBOOK = "notebooks/xpu_needs.ipynb"


@pytest.mark.parametrize("address", [REPOSITORY, f"{REPOSITORY}/", f"{REPOSITORY}.git"])
def test_links_for_github(address):
    assert book_chapters.launch_links(address, "main", NOTEBOOK) == {
        "Binder": "https://mybinder.org/v2/gh/someone/book/main?labpath=notebooks%2Fxpu_needs.ipynb",
        "Colab": "https://colab.research.google.com/github/someone/book/blob/main/"
        "notebooks/xpu_needs.ipynb",
    }


def test_links_for_other_hosts_and_branches():
    gitlab = book_chapters.launch_links("https://gitlab.com/a/b/c", "next/one", NOTEBOOK)
    assert gitlab == {
        "Binder": "https://mybinder.org/v2/gl/a%2Fb%2Fc/next%2Fone"
        "?labpath=notebooks%2Fxpu_needs.ipynb"
    }
    own = book_chapters.launch_links("https://git.example.org/a/b", "main", NOTEBOOK)
    assert own["Binder"].startswith(
        "https://mybinder.org/v2/git/https%3A%2F%2Fgit.example.org%2Fa%2Fb/main?"
    )


@pytest.mark.parametrize("address", ["github.com/a/b", "https://github.com/a", "somewhere"])
def test_a_malformed_address_is_refused(address):
    with pytest.raises(ConfigError, match="give an address such as"):
        book_chapters.launch_links(address, "main", NOTEBOOK)


def test_citation_is_that_of_the_book():
    book = yaml.safe_load((paths.ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    sentence, entry = book_chapters.citation("How many xPUs?", "xpu-needs", book, "2026")
    version = book["version"]
    assert sentence == (
        "The llmecon authors (2026). How many xPUs? In: The Economics of LLM Deployment,"
        f" version {version}."
    )
    (read,) = bibtex.Parser().parse_stream(io.StringIO(entry)).entries.values()
    assert read.type == "incollection"
    assert read.fields["title"] == "How many xPUs?"
    assert read.fields["booktitle"] == book["title"]
    assert [str(person) for person in read.persons["author"]] == ["{The llmecon authors}"]


def test_citation_uses_a_release_date_and_an_address():
    book = {
        "title": "T",
        "version": "2",
        "authors": [{"family-names": "Young", "given-names": "Ann"}, {"name": "Some group"}],
        "date-released": "2031-05-01",
        "url": "https://example.org",
    }
    sentence, entry = book_chapters.citation("What is it", "what", book, "2026")
    assert sentence == (
        "Young, Ann; Some group (2031). What is it. In: T, version 2. https://example.org"
    )
    assert "author    = {Young, Ann and {Some group}}," in entry


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> str:
    """A chapter of a book with a repository address."""
    root = tmp_path_factory.mktemp("launch")
    staged = root / "staged"
    (staged / "chapters").mkdir(parents=True)
    (staged / "index.md").write_text("# Toy\n")
    (staged / "chapters" / "xpu-needs.md").write_text("# How many?\n\nSome.\n")
    contents = "format: jb-book\nroot: index\nchapters:\n  - file: chapters/xpu-needs\n"
    (staged / "_toc.yml").write_text(contents)
    config = yaml.safe_load(paths.CONFIG.read_text(encoding="utf-8"))
    config["sphinx"]["config"]["public_repository"]["url"] = REPOSITORY
    config["sphinx"]["local_extensions"] = {"llmecon_book": str(paths.BOOK / "_ext")}
    del config["logo"], config["html"]["favicon"], config["bibtex_bibfiles"]
    own = config["sphinx"]["config"]
    own["extensions"].remove("sphinxcontrib.bibtex")
    config["sphinx"]["config"] = {k: v for k, v in own.items() if not k.startswith("bibtex")}
    (root / "_config.yml").write_text(yaml.safe_dump(config))
    site = root / "site"
    site.mkdir()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(paths, "CONFIG", root / "_config.yml")
        monkeypatch.setattr(paths, "BUILD", root / "build")
        execute.make_site(staged, site)
    return (site / "chapters" / "xpu-needs.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_with_an_address_a_chapter_offers_to_run_elsewhere(built):
    (block,) = BeautifulSoup(built, "html.parser").select(".llmecon-beside")
    outside = [a["href"] for a in block("a") if a["href"].startswith("http")]
    assert outside == list(book_chapters.launch_links(REPOSITORY, "main", NOTEBOOK).values())
    assert "git+https://github.com/someone/book" in block.get_text()
    assert block.find("button", onclick="initThebeSBT()")
    assert 'repo: "someone/book"' in built
    # Thebe itself is fetched when it is asked for, not with the page.
    soup = BeautifulSoup(built, "html.parser")
    assert not [s for s in soup("script", src=True) if s["src"].startswith("http")]
