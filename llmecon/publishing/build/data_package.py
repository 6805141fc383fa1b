"""What `data/columns.csv` declares, as people and other tools read it.

Lists of columns in `data/README.md`, and `data/datapackage.json`, a Frictionless data package,
with which any tool of that kind can read and check the tables. After a change of `columns.csv`,
`make tables` writes both.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from llmecon import paths
from llmecon.tables import columns
from llmecon.tables.columns import Column

LIST = re.compile(r"^\| column \|.*(?:\n\|.*)*", re.MULTILINE)
"""A list of columns in `data/README.md`."""

# Version 2 of the standard: the first with bounds that don't belong to a range.
_PROFILES = "https://datapackage.org/profiles/2.0"
_HEAD = "| column | cells | meaning |\n|---|---|---|"
_TYPES = {"integer": "whole number", "number": "number", "boolean": "true or false"}
_CELLS = {
    "text": "text",
    "slug": "id",
    "field": "lower-case letters and _",
    "sources": "keys of sources",
    "month": "YYYY-MM",
    "month or year": "YYYY-MM or YYYY",
    "day": "YYYY-MM-DD",
}


def sections() -> tuple[str, dict[str, tuple[str, str]]]:
    """What `data/README.md` says of all tables, and of each: its title and the text below it.

    Raises:
        LookupError: A heading names a table that `columns.csv` doesn't declare.
    """
    text = (paths.DATA / "README.md").read_text(encoding="utf-8").partition("\n")[2]
    preamble, *parts = re.split(r"^## ", text, flags=re.MULTILINE)
    found = {}
    for part in parts:
        heading, _, body = part.partition("\n")
        name, _, title = heading.partition(".csv: ")
        if name not in columns.tables():
            raise LookupError(f"data/README.md describes {name}, which columns.csv doesn't declare")
        found[name] = (title[:1].upper() + title[1:], body.strip())
    return preamble.strip(), found


def cells(column: Column) -> str:
    """What the cells of a column may hold, in Markdown.

    Args:
        column: The column.

    Returns:
        Such as "number from 0 to 1 [fraction], or empty".
    """
    if column.choices:
        said = _either(
            f"`{choice}`{f' ({words})' if words else ''}"
            for choice, words in column.choices.items()
        )
    elif column.refers_to:
        said = f"{column.refers_to[1]} of {column.refers_to[0]}.csv"
    else:
        said = _TYPES.get(column.type) or _CELLS[column.type]
    said += _interval(column) + (f" [{column.unit}]" if column.unit else "")
    said += ", each once" if column.key == "unique" else ""
    return said + (", or empty" if column.nullable else "")


def described(column: Column) -> str:
    """What a column means, with its unit and its choices; empty where the name says it all."""
    explained = column.refers_to or any(column.choices.values())
    words = [cells(column)] if explained else []
    words += [column.meaning] if column.meaning else []
    unit = f"[{column.unit}]" if column.unit and not explained else ""
    return " ".join(part for part in ("; ".join(words), unit) if part)


def listing(table: str) -> str:
    """The columns of a table as a table in Markdown, without those that end every table.

    Args:
        table: The file's name without its ending; `*` for those that end every table.
    """
    rows = [
        f"| `{column.name}` | {_escaped(cells(column))} | {_escaped(column.meaning)} |"
        for column in columns.declared()[table]
    ]
    return "\n".join([_HEAD, *rows])


def readme() -> str:
    """`data/README.md` with its lists of columns as `columns.csv` has them now."""
    text = (paths.DATA / "README.md").read_text(encoding="utf-8")
    preamble, *parts = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    new = [_with_list(preamble, columns.EVERY)]
    new += [_with_list(part, re.match(r"## (\w+)", part)[1]) for part in parts]  # type: ignore[index]
    return "".join(new)


def package() -> dict[str, Any]:
    """The descriptor of the tables as a Frictionless data package."""
    return {
        "$schema": f"{_PROFILES}/datapackage.json",
        "name": "llmecon",
        "title": "The Economics of LLM Deployment: tables",
        "licenses": [{"name": "CC-BY-4.0", "title": "Creative Commons Attribution 4.0"}],
        "resources": [_resource(name, title) for name, (title, _) in sections()[1].items()],
    }


def descriptor() -> str:
    """The text of `data/datapackage.json`, a column a line."""
    whole = package()
    lines = []
    for resource in whole["resources"]:
        for field in resource["schema"]["fields"]:
            lines.append(json.dumps(field, ensure_ascii=False))
        resource["schema"]["fields"] = list(range(len(lines)))[-len(resource["schema"]["fields"]) :]
    text = json.dumps(whole, ensure_ascii=False, indent=1) + "\n"
    return re.sub(r"^( +)(\d+)(,?)$", lambda m: m[1] + lines[int(m[2])] + m[3], text, flags=re.M)


def write() -> None:
    """Write both files."""
    new = {"README.md": readme(), "datapackage.json": descriptor()}
    for name, text in new.items():
        (paths.DATA / name).write_text(text, encoding="utf-8")


def _with_list(section: str, table: str) -> str:
    """A section of `data/README.md` with its list of columns made anew, or added at its end."""
    if LIST.search(section):
        return LIST.sub(lambda _: listing(table), section, count=1)
    return f"{section.rstrip()}\n\n{listing(table)}\n\n"


def _resource(name: str, title: str) -> dict[str, Any]:
    declared = columns.tables()[name]
    unique = [column for column in declared if column.key == "unique"]
    joint = [column.name for column in declared if column.key == "joint"]
    keys = [column.name for column in unique] or joint
    schema: dict[str, Any] = {"$schema": f"{_PROFILES}/tableschema.json"}
    schema["fields"] = [_field(column) for column in declared]
    # A primary key has no empty cells, which the key of some tables may have.
    whole = all(not column.nullable for column in declared if column.name in keys)
    schema |= {"primaryKey": keys} if keys and whole else {}
    schema |= {"uniqueKeys": [joint]} if joint and (unique or not whole) else {}
    foreign = [
        {
            "fields": [column.name],
            "reference": {"resource": column.refers_to[0], "fields": [column.refers_to[1]]},
        }
        for column in declared
        if column.refers_to
    ]
    schema |= {"foreignKeys": foreign} if foreign else {}
    return {
        "name": name,
        "title": title,
        "path": f"{name}.csv",
        "$schema": f"{_PROFILES}/dataresource.json",
        "type": "table",
        "format": "csv",
        "encoding": "utf-8",
        "schema": schema | {"missingValues": [""]},
    }


def _field(column: Column) -> dict[str, Any]:
    kind = column.type if column.type in _TYPES else "string"
    field: dict[str, Any] = {"name": column.name, "type": kind}
    field |= {"description": words} if (words := described(column)) else {}
    field |= {"unit": column.unit} if column.unit else {}
    constraints: dict[str, Any] = {} if column.nullable else {"required": True}
    constraints |= {"unique": True} if column.key == "unique" else {}
    if column.type in columns.PATTERNS:
        constraints["pattern"] = columns.PATTERNS[column.type][0]
    if column.choices:
        number = column.type in columns.NUMBERS
        constraints["enum"] = [int(one) if number else one for one in column.choices]
    if (within := column.range) and within.low > float("-inf"):
        constraints["minimum" if within.with_low else "exclusiveMinimum"] = _plain(within.low)
    if within and within.high < float("inf"):
        constraints["maximum" if within.with_high else "exclusiveMaximum"] = _plain(within.high)
    return field | ({"constraints": constraints} if constraints else {})


def _plain(number: float) -> float:
    return int(number) if number.is_integer() and abs(number) < 1e15 else number


def _interval(column: Column) -> str:
    """A range in words, such as " from 0 to 1"."""
    if (within := column.range) is None:
        return ""
    low, high = (
        f"{end:,.10g}" if abs(end) < 1e9 else f"{end:.0e}".replace("e+", "e")
        for end in (within.low, within.high)
    )
    starts = f"{', at least' if within.with_low else ' above'} {low}"
    ends = f", {'at most' if within.with_high else 'below'} {high}"
    if within.with_low and within.with_high:
        return f" from {low} to {high}"
    return (starts if within.low > float("-inf") else "") + (
        ends if within.high < float("inf") else ""
    )


def _either(said: Iterable[str]) -> str:
    *most, last = said
    return f"{', '.join(most)} or {last}" if most else last


def _escaped(text: str) -> str:
    """Text for a cell of a Markdown table."""
    return text.replace("|", "\\|")


if __name__ == "__main__":
    write()
