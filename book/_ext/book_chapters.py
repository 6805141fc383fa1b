"""What a reader can take along from a chapter: notebooks, the command, the citation, a kernel."""

import html
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ConfigError

from llmecon import paths

_FOLDER = "chapters/"
_BINDER = "https://mybinder.org/v2"
_COLAB = "https://colab.research.google.com"
_BINDER_HOSTS = {"github.com": "gh", "gitlab.com": "gl"}


def launch_links(repository: str, branch: str, notebook: str) -> dict[str, str]:
    """Addresses that open a notebook of a public repository in a kernel elsewhere.

    Args:
        repository: Address of the repository, such as https://github.com/someone/book.
        branch: The branch, or another reference of git.
        notebook: Path of the notebook in the repository.

    Returns:
        Addresses by the name of who runs the kernel; Colab only for GitHub.

    Raises:
        ConfigError: The address is not that of a repository.
    """
    parts = urlsplit(repository.strip().removesuffix("/").removesuffix(".git"))
    names = parts.path.strip("/").split("/")
    if parts.scheme not in ("http", "https") or not parts.netloc or len(names) < 2:
        raise ConfigError(
            f"public_repository {repository!r}: give an address such as"
            " https://github.com/someone/book in _config.yml, or leave it empty"
        )
    at, path = quote(branch, safe=""), quote(notebook, safe="")
    host = _BINDER_HOSTS.get(parts.netloc)
    if host == "gh":
        place = "/".join(names[:2])
    elif host == "gl":
        place = quote("/".join(names), safe="")
    else:
        host, place = "git", quote(parts.geturl(), safe="")
    links = {"Binder": f"{_BINDER}/{host}/{place}/{at}?labpath={path}"}
    if host == "gh":
        links["Colab"] = f"{_COLAB}/github/{place}/blob/{quote(branch)}/{quote(notebook)}"
    return links


def citation(title: str, slug: str, book: Mapping[str, Any], year: str) -> tuple[str, str]:
    """How to cite a chapter.

    Args:
        title: The chapter's title.
        slug: The chapter's name in commands and addresses.
        book: What `CITATION.cff` holds.
        year: Of publication, unless the book has a release date.

    Returns:
        A sentence and a BibTeX entry.
    """
    authors = [
        one.get("name") or ", ".join(filter(None, map(one.get, ("family-names", "given-names"))))
        for one in book["authors"]
    ]
    year = str(book.get("date-released", year))[:4]
    address = str(book.get("url") or book.get("repository-code") or "")
    fields = {
        # Braces keep BibTeX from taking an organisation for a person's first and last name.
        "author": " and ".join(author if "," in author else f"{{{author}}}" for author in authors),
        "title": title,
        "booktitle": book["title"],
        "year": year,
        "note": f"Version {book['version']}",
        "url": address,
    }
    lines = [f"  {name:<9} = {{{text}}}," for name, text in fields.items() if text]
    entry = "\n".join([f"@incollection{{llmecon-{slug},", *lines, "}"])
    end = "" if title.endswith(("?", "!", ".")) else "."
    ending = f" {address}" if address else ""
    sentence = (
        f"{'; '.join(authors)} ({year}). {title}{end} In: {book['title']},"
        f" version {book['version']}.{ending}"
    )
    return sentence, entry


def block(
    slug: str, up: str, sentence: str, entry: str, links: Mapping[str, str], repository: str
) -> str:
    """The lines under a chapter's title.

    Args:
        slug: The chapter.
        up: From the page to the root of the site, ending in a slash.
        sentence: How to cite it.
        entry: The same as BibTeX.
        links: Addresses that run it elsewhere; none without a repository.
        repository: Address of the repository, which Colab installs the library from.
    """
    notebook = f"{slug.replace('-', '_')}.ipynb"
    parts = [
        _download(f"{up}_static/notebooks/{notebook}", notebook, "Notebook"),
        _download(
            f"{up}_sources/chapters/{slug}.ipynb", f"{slug}-executed.ipynb", "Executed notebook"
        ),
        _fold(
            "Rerun",
            _copyable(f"llmecon run {slug}", "the command")
            + f"<p>Add <code>-p NAME VALUE</code> for each input you change: "
            f'<a href="{up}rerun.html">how to rerun a chapter</a>.</p>',
        ),
        _fold("Cite", _copyable(sentence, "the citation") + _copyable(entry, "the BibTeX entry")),
    ]
    if links:
        inside = "".join(
            f'<p><a href="{html.escape(address)}">{name}</a></p>' for name, address in links.items()
        )
        inside += (
            '<p><button type="button" onclick="initThebeSBT()">On this page (Thebe)</button></p>'
        )
        if "Colab" in links:
            install = f'%pip install "llmecon[book] @ git+{repository}"'
            inside += "<p>In Colab, run this first:</p>" + _copyable(install, "the installation")
        parts.append(_fold("Launch", inside))
    return (
        '<div class="llmecon-beside" role="group" aria-label="Take this chapter along">'
        f"{''.join(parts)}</div>"
    )


def add_block(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Put the block under the title of each chapter."""
    slug = page.removeprefix(_FOLDER)
    notebook = f"{slug.replace('-', '_')}.ipynb"
    if not page.startswith(_FOLDER) or not (paths.NOTEBOOKS / notebook).is_file():
        return
    book = yaml.safe_load((paths.ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    title = app.env.titles[page].astext()
    repository, branch = _repository(app)
    links = launch_links(repository, branch, f"notebooks/{notebook}") if repository else {}
    sentence, entry = citation(title, slug, book, str(app.config.copyright))
    added = block(slug, "../" * page.count("/"), sentence, entry, links, repository)
    context["body"] = context["body"].replace("</h1>", f"</h1>{added}", 1)


def provide_notebooks(app: Sphinx) -> None:
    """Put the notebooks, as they are written, into the site."""
    if app.builder.format != "html":
        return
    static = Path(app.doctreedir) / "written"
    (static / "notebooks").mkdir(parents=True, exist_ok=True)
    for notebook in paths.NOTEBOOKS.glob("*.ipynb"):
        shutil.copyfile(notebook, static / "notebooks" / notebook.name)
    app.config.html_static_path.append(str(static))


def _repository(app: Sphinx) -> tuple[str, str]:
    """The configured repository's address, empty if there is none, and its branch."""
    configured = app.config.public_repository
    return configured.get("url") or "", configured.get("branch") or "main"


def _download(address: str, name: str, text: str) -> str:
    return f'<a href="{address}" download="{name}">{text}</a>'


def _fold(title: str, inside: str) -> str:
    return f"<details><summary>{title}</summary><div>{inside}</div></details>"


def _copyable(text: str, what: str) -> str:
    return (
        f'<div class="llmecon-copyable"><pre tabindex="0">{html.escape(text)}</pre>'
        f'<button type="button" aria-label="Copy {what}">Copy</button></div>'
    )


def setup(app: Sphinx) -> None:
    """Connect all of this to Sphinx; Thebe, which needs other hosts, only with a repository."""
    app.add_config_value("public_repository", {}, "html", dict)
    repository, branch = _repository(app)
    if repository:
        app.setup_extension("sphinx_thebe")
        app.config.thebe_config = {
            "repository_url": repository,
            "repository_branch": branch,
            "path_to_docs": "notebooks",
        }
    app.connect("builder-inited", provide_notebooks)
    app.connect("html-page-context", add_block)
