"""The book as one PDF: what goes in, in which order, where links lead, what is refused."""

import os
from pathlib import Path

import pytest
from pypdf import PdfReader

from llmecon import cli, paths
from llmecon.errors import InputError
from llmecon.publishing.build import browser, files, pdf
from llmecon.publishing.build.execute import BuildError


def chromium_is_missing() -> bool:
    try:
        browser.find()
    except InputError:
        return True
    return False


needs_chromium = pytest.mark.skipif(
    not os.environ.get("CI") and chromium_is_missing(), reason="no Chromium on this machine"
)

# ---------------------------------------------------------------------------- what goes in


def test_pages_come_in_the_order_of_the_table_of_contents():
    contents = {
        "root": "index",
        "parts": [
            {
                "caption": "Chapters",
                "chapters": [
                    {"file": "chapters/b", "sections": [{"file": "chapters/b2"}]},
                    {"file": "chapters/a"},
                ],
            },
            {
                "caption": "Tables",
                "chapters": [
                    {"file": "data", "sections": [{"glob": "data/*"}, {"file": "data/xpus"}]},
                    {"file": "api", "sections": [{"file": "api/roofline"}]},
                ],
            },
            {"caption": "Nothing for paper", "chapters": [{"file": "api/serving"}]},
        ],
    }
    assert pdf.parts(contents) == [
        pdf.Part("", ("index",)),
        pdf.Part("Chapters", ("chapters/b", "chapters/b2", "chapters/a")),
        pdf.Part("Tables", ("data",)),
    ]


def test_a_table_of_contents_needs_no_parts():
    contents = {"root": "index", "chapters": [{"file": "one"}, {"file": "two"}]}
    assert [part.pages for part in pdf.parts(contents)] == [("index",), ("one", "two")]


def test_every_chapter_of_the_book_is_printed():
    import yaml

    contents = yaml.safe_load((paths.BOOK / "_toc.yml").read_text(encoding="utf-8"))
    printed = [page for part in pdf.parts(contents) for page in part.pages]
    slugs = {file.stem.replace("_", "-") for file in paths.NOTEBOOKS.glob("*.ipynb")}
    assert slugs <= {page.removeprefix("chapters/") for page in printed}
    assert {"glossary", "references"} <= set(printed)


PAGES = {"file:///site/chapters/a.html": "chapters-a", "file:///site/glossary.html": "glossary"}


@pytest.mark.parametrize(
    ("address", "leads_to"),
    [
        ("file:///site/chapters/a.html", "#chapters-a"),
        ("file:///site/chapters/a.html#the-answer", "#chapters-a--the-answer"),
        ("file:///site/glossary.html#term-TTFT", "#glossary--term-TTFT"),
        ("file:///site/api.html#llmecon.serving", None),
        ("file:///site/_static/data/xpus.csv", None),
        ("javascript:void(0)", None),
        ("https://arxiv.org/abs/2405.17147", "https://arxiv.org/abs/2405.17147"),
        ("mailto:someone@example.org", "mailto:someone@example.org"),
    ],
)
def test_a_link_jumps_inside_the_book_or_leads_to_the_web(address, leads_to):
    assert pdf.destination(address, PAGES) == leads_to


def test_the_title_page_says_what_a_citation_needs():
    config = {"title": "Bits & pieces", "author": "A. Author", "copyright": "2026"}
    page = pdf.title_page(config, "1.2.3", edition="", logo="")
    assert "Bits &amp; pieces" in page
    assert "A. Author (2026): Bits &amp; pieces. Version 1.2.3." in page
    assert "CC BY 4.0" in page
    assert "Apache License 2.0" in page
    assert "<img" not in page
    assert page.count("my set") < pdf.title_page(config, "1", edition="my set").count("my set")


def test_the_table_of_contents_leads_to_pages_and_sections():
    lines = [pdf.Heading(1, "chapters-a", "1. A < B?"), pdf.Heading(2, "chapters-a--s", "1.1. S")]
    page = pdf.contents_page([("", []), ("Chapters", lines)])
    assert page.index("Chapters") < page.index("1. A &lt; B?") < page.index("1.1. S")
    assert 'class="page"><a href="#chapters-a">' in page
    assert 'class="section"><a href="#chapters-a--s">' in page
    assert pdf.LEFT_OUT_NOTE.split(":")[0] in page


def test_joined_pages_share_their_style_sheets():
    pages = [
        pdf.Taken(key, f"<p>{key}</p>", [pdf.Heading(1, key, f'The "{key}"')], ["x.css"], ["r {}"])
        for key in ("one", "two")
    ]
    document = pdf.joined("T", "<p>front</p>", pages)
    assert document.count("x.css") == 1
    assert document.count("r {}") == 1
    assert document.index("front") < document.index('id="one"') < document.index('id="two"')
    assert '@page two { @bottom-left { content: "The \\22 two\\22 "; } }' in document


# ---------------------------------------------------------------------------- what is refused


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        cli.main(list(arguments))
    assert isinstance(left.value.code, int)
    return left.value.code


def test_without_chromium_it_says_where_it_looked(toy_book, monkeypatch, capsys):
    monkeypatch.delenv(browser.VARIABLE, raising=False)
    monkeypatch.setattr(browser.shutil, "which", lambda name: None)
    assert call("pdf") == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    for part in ("no Chromium", *browser.NAMES, browser.VARIABLE, "apt-get install chromium"):
        assert part in said
    assert not paths.BUILD.exists()


def test_a_named_chromium_must_be_a_program(toy_book, monkeypatch, capsys):
    monkeypatch.setenv(browser.VARIABLE, "/nowhere/chromium")
    assert call("pdf") == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert browser.VARIABLE in said
    assert "/nowhere/chromium" in said


def test_a_program_that_is_no_browser_is_named(tmp_path, monkeypatch):
    impostor = tmp_path / "chromium"
    impostor.write_text("#!/bin/sh\nexit 3\n")
    impostor.chmod(0o755)
    monkeypatch.setenv(browser.VARIABLE, str(impostor))
    with pytest.raises(BuildError, match=rf"{impostor} doesn't start: .+") as refused:
        pdf.make(tmp_path, tmp_path / "book.pdf", progress=print)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [("book.txt", "ends in .pdf"), ("folder.pdf", "ends in .pdf"), ("taken/b.pdf", "can't write")],
)
def test_an_output_that_cannot_be_is_refused_first(tmp_path, name, said):
    (tmp_path / "folder.pdf").mkdir()
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(InputError, match=said):
        pdf.make(tmp_path, tmp_path / name, progress=print)


# ---------------------------------------------------------------------------- a small site

HEAD = '<!DOCTYPE html><html data-theme="dark"><head><link rel="stylesheet" href="_static/s.css">'
INDEX = """</head><body><nav>Menu</nav><article class="bd-article"><section id="toy"><h1>Toy</h1>
<p>See <a href="second.html#deep">the depth</a>, <a href="api.html">the code</a>, and
<a href="https://example.org/">the web</a>.</p>
<details class="hide"><summary>Show the code</summary>hidden program</details>
<img src="https://example.org/spy.png" alt=""></section></article></body>
"""
SECOND = """</head><body><article class="bd-article"><section id="second"><h1>Second</h1>
<p style="height: 1500px">Filler</p><section id="deep"><h2>Deep &amp; down</h2><p>Bottom.</p>
<p id="later">?</p>
<svg width="9" height="9"><defs><clipPath id="clip"><path d="M0 0h9v9z"/></clipPath></defs>
<rect clip-path="url(#clip)" width="9" height="9"/></svg></section></section></article>
<script>document.getElementById("later").textContent = "Written by a script.";</script></body>
"""


@pytest.fixture
def toy_site(tmp_path: Path, toy_book: Path) -> Path:
    site = tmp_path / "site"
    (site / "_static").mkdir(parents=True)
    style = (Path(__file__).parents[2] / "book" / "_static" / "print.css").read_text()
    (site / "_static" / "s.css").write_text(style)
    (site / "index.html").write_text(HEAD + INDEX)
    (site / "second.html").write_text(HEAD + SECOND)
    (paths.BOOK / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nchapters: [{file: second}, {file: api}]\n"
    )
    return site


@pytest.mark.slow
@needs_chromium
def test_a_site_becomes_a_book(toy_site, tmp_path):
    files.stamp(toy_site, "first")
    output = pdf.make(toy_site, tmp_path / "new" / "toy.pdf", progress=print)
    reader = PdfReader(output)
    title, contents, first, *second = [page.extract_text() for page in reader.pages]
    assert len(second) == 2
    assert "Toy" in title
    assert "Version" in title
    assert "Overview" in first
    assert "Menu" not in first
    assert "hidden program" not in first
    assert "Written by a script." in second[1]
    # The table of contents says on which page the section is, and that page says its number.
    assert "5" in contents.partition("Deep & down")[2]
    assert second[1].startswith("5Second")

    links = [note.get_object() for note in reader.pages[2]["/Annots"]]
    (web,) = [link["/A"]["/URI"] for link in links if "/A" in link]
    assert web == "https://example.org/"
    (deep,) = [link["/Dest"] for link in links if "/Dest" in link]
    place = reader.named_destinations[str(deep)]
    assert reader.get_destination_page_number(place) == 4

    # The same site is not printed again; a changed one is.
    said: list[str] = []
    pdf.make(toy_site, output, progress=said.append)
    assert said == ["pdf: unchanged"]
    files.stamp(toy_site, "second")
    pdf.make(toy_site, output, progress=said.append)
    assert said[-1] != "pdf: unchanged"


@needs_chromium
@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("<script>throw new Error('no numbers\\nat all')</script>", "no numbers"),
        (None, "ERR_FILE_NOT_FOUND"),
    ],
)
def test_a_page_that_fails_is_named_and_nothing_is_written(toy_site, tmp_path, broken, reason):
    page = toy_site / "second.html"
    page.write_text(HEAD + SECOND + broken) if broken else page.unlink()
    output = tmp_path / "toy.pdf"
    output.write_text("an earlier one")
    with pytest.raises(BuildError, match=rf"^second: can't be printed: .*{reason}") as failed:
        pdf.make(toy_site, output, progress=print)
    assert len(str(failed.value).splitlines()) == 1
    assert output.read_text() == "an earlier one"
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
@needs_chromium
def test_a_full_disk_is_one_line(toy_site, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pdf.os, "replace", full)
    with pytest.raises(InputError, match=r"toy\.pdf: can't be written: No space left on device"):
        pdf.make(toy_site, tmp_path / "toy.pdf", progress=print)
    assert not list(tmp_path.glob("*.pdf"))
    assert not list(tmp_path.glob(".*"))
