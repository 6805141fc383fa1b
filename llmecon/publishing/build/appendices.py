"""The book's appendices, made from their sources: a page for each table and each module."""

import ast
import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from llmecon import paths
from llmecon.publishing.build import data_package
from llmecon.tables import columns

# What a reader finds in each package, each after those that it uses; modules of none come first.
_PACKAGES = {
    "": "Records and numerics",
    "execution": "Tracing, compiling, keeping",
    "physics": "Time and energy of a pass",
    "serving": "A service under load",
    "training": "Training runs",
    "costs": "Money and carbon",
    "tables": "Tables as records",
    "scaling": "How much model, how many tokens",
    "evidence": "Measurements, fits and intervals",
    "tiers": "Several models, tiers and futures",
    "laboratory": "Experiments that run while the book is built",
    "adaptation": "Retrieval, fine-tuning, long context",
    "choice": "Choosing hardware",
    "silicon": "Designing accelerators",
    "checks": "One model checked by another",
    "studies": "What chapters ask, and answer",
    "teaching": "Exercises, and checks of answers",
    "publishing": "From models to a book",
    "assignments": "Assignments, and their marks",
    "commands": "Groups of commands",
}
# A table takes the room of the list of a page's sections.
_WIDE = "---\nhtml_theme.sidebar_secondary.remove: true\n---\n\n"

_OTHERS = "Others"

# What stands in the table of contents for the pages of all modules.
_ALL_MODULES = re.compile(r"^( *)- glob: api/\*$", re.MULTILINE)


@dataclass(frozen=True)
class Table:
    """A table of `data/`, as its page shows it.

    Attributes:
        name: The file's name without its ending.
        title: What it holds, in a few words.
        about: What `data/README.md` says of it, in Markdown, without the list of its columns.
        listing: Its columns, as a table in Markdown.
        described: What the columns hold, by name; columns that explain themselves are left out.
        columns: Names of the columns.
        rows: The cells as they are in the file.
    """

    name: str
    title: str
    about: str
    listing: str
    described: Mapping[str, str]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def unchecked(self) -> int | None:
        """How many rows nobody has checked; None where the table doesn't say."""
        if "checked" not in self.columns:
            return None
        checked = self.columns.index("checked")
        return sum(row[checked] != "true" for row in self.rows)


def table(name: str) -> Table:
    """One table with its description.

    Args:
        name: The file's name without its ending.

    Raises:
        LookupError: There is no such file, `data/README.md` does not describe it, or
            `data/columns.csv` doesn't say what it holds.
    """
    file = paths.DATA / f"{name}.csv"
    sections = data_package.sections()[1]
    declared = columns.tables().get(name)
    if name not in sections or declared is None or not file.is_file():
        raise LookupError(
            f"data/{name}.csv must be there, with a section in data/README.md and rows in "
            "data/columns.csv"
        )
    title, about = sections[name]
    with file.open(encoding="utf-8", newline="") as lines:
        header, *rows = csv.reader(lines)
    return Table(
        name=name,
        title=title,
        about=data_package.LIST.sub("", about).strip(),
        listing=data_package.listing(name),
        described={one.name: said for one in declared if (said := data_package.described(one))},
        columns=tuple(header),
        rows=tuple(tuple(row) for row in rows),
    )


def tables() -> list[Table]:
    """All tables, in the order of `data/README.md`.

    Raises:
        LookupError: A table lacks its description, or a description its table.
    """
    names = list(data_package.sections()[1])
    names += sorted({file.stem for file in paths.DATA.glob("*.csv")} - set(names))
    return [table(name) for name in names]


def modules() -> dict[str, dict[str, str]]:
    """The library's modules by package.

    Returns:
        For the title of each package the dotted names of its modules, each with its docstring's
        first sentence.
    """
    found: dict[str, dict[str, str]] = {title: {} for title in (*_PACKAGES.values(), _OTHERS)}
    for name in sorted(_module_names()):
        source = (paths.LIBRARY / f"{name.replace('.', '/')}.py").read_text(encoding="utf-8")
        about = (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
        package = name.partition(".")[0] if "." in name else ""
        found[_PACKAGES.get(package, _OTHERS)][f"llmecon.{name}"] = about
    return {title: of for title, of in found.items() if of}


def write(folder: Path) -> None:
    """Write the pages of tables and modules beside the pages that list them.

    Args:
        folder: A staged book. Without `data.md` it gets no tables, without `api.md` no modules.
    """
    if (folder / "data.md").is_file():
        _write_tables(folder)
    if (folder / "api.md").is_file():
        _write_modules(folder)


def _write_tables(folder: Path) -> None:
    listed = ["| table | what it holds | rows | unchecked |", "|---|---|--:|--:|"]
    (folder / "data").mkdir()
    for one in tables():
        unchecked = "" if one.unchecked is None else str(one.unchecked)
        listed.append(
            f"| [{one.name}](data/{one.name}.md) | {one.title} | {len(one.rows):,} | {unchecked} |"
        )
        page = f"{_WIDE}# {one.title}\n\n{one.about}\n\n```{{datatable}} {one.name}\n```\n"
        page += f"\n## Columns\n\n{one.listing}\n"
        (folder / "data" / f"{one.name}.md").write_text(page, encoding="utf-8")
    preamble = data_package.sections()[0]
    _fill(folder / "data.md", "<!-- tables -->", "\n".join(listed) + f"\n\n{preamble}")


def _write_modules(folder: Path) -> None:
    listed = []
    (folder / "api").mkdir()
    package_of = {title: package for package, title in _PACKAGES.items()}
    for title, of in modules().items():
        package = package_of.get(title, "")
        heading = f"[{title}](api/{package}.md)" if package else title
        listed.append(f"\n## {heading}\n\n| module | what it is about |\n|---|---|")
        if package:
            # Its names are documented where they are defined.
            text = (
                f"# llmecon.{package}\n\n```{{eval-rst}}\n.. automodule:: llmecon.{package}\n```\n"
            )
            rows = "\n".join(f"- [`{name}`]({_page(name)}): {about}" for name, about in of.items())
            (folder / "api" / f"{package}.md").write_text(f"{text}\n{rows}\n", encoding="utf-8")
        for name, about in of.items():
            page = _page(name)
            listed.append(f"| [`{name}`](api/{page}) | {about} |")
            text = f"# {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n```\n"
            (folder / "api" / page).write_text(text, encoding="utf-8")
    _fill(folder / "api.md", "<!-- modules -->", "\n".join(listed))
    contents = folder / "_toc.yml"
    if contents.is_file():
        text = contents.read_text(encoding="utf-8")
        contents.write_text(_ALL_MODULES.sub(_contents, text), encoding="utf-8")


def _contents(place: re.Match[str]) -> str:
    """Entries of the table of contents, each package before its modules, by their short names.

    Args:
        place: The entry that stands for all of them.
    """
    margin = place[1]
    package_of = {title: package for package, title in _PACKAGES.items()}
    lines = []
    for title, of in modules().items():
        package = package_of.get(title, "")
        inside = f"{margin}    " if package else margin
        if package:
            lines += [f"{margin}- file: api/{package}", f"{margin}  title: {package}"]
            lines += [f"{margin}  sections:"]
        for name in of:
            page = _page(name).removesuffix(".md")
            # A line may end after a dot, and not within a word.
            short = name.removeprefix(f"llmecon.{package}").removeprefix(".")
            short = short.replace(".", ".\u200b")
            lines += [f"{inside}- file: api/{page}", f"{inside}  title: {short}"]
    return "\n".join(lines)


def _page(module: str) -> str:
    """The name of a module's page."""
    return f"{module.removeprefix('llmecon.').replace('.', '-')}.md"


def _fill(page: Path, mark: str, text: str) -> None:
    page.write_text(page.read_text(encoding="utf-8").replace(mark, text), encoding="utf-8")


def _module_names() -> Iterator[str]:
    for file in sorted(paths.LIBRARY.rglob("*.py")):
        name = ".".join(file.relative_to(paths.LIBRARY).with_suffix("").parts)
        parts = name.split(".")
        hidden = any(part.startswith("_") for part in parts) or name == "cli"
        # What a chapter's charts hold, and how they are drawn, is of no use to anyone else.
        of_study = parts[0] == "studies" and len(parts) == 3
        of_chapter = parts[:2] == ["publishing", "chapters"] or (
            of_study and parts[2] not in ("scenario", "model", "study")
        )
        if not hidden and not of_chapter:
            yield name
