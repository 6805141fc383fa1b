"""A chapter's parameters: declared by its study; validated, documented, saved.

A study's `Scenario` has a field for each parameter (`llmecon.studies.parameters`). The notebook's
first cell, tagged `parameters`, repeats them for those who read it or run it with papermill alone;
`cell` writes it, each line with a typed default, the meaning, and what is allowed::

    deadline_days: float = 90.0  # wall-clock time allowed [days, 0.1 to 3650]
    precision: str = "bf16"  # weights while serving [one of bf16, fp8, fp4, int4]
    xpu: str = "h100-sxm"  # accelerator to rent [xpu id]
    rivals: str = "h200-sxm, mi300x"  # accelerators to compare [xpu ids]
    api: str = "auto"  # hosted rival, auto for the cheapest [api price id or auto]
    search: str = "bm25"  # published search to expect [curve of retrieval]
    my_server: str = ""  # own server, as measured [file by llmecon fit-mine]
"""

import ast
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pydantic
import yaml

from llmecon import inputs, paths, studies
from llmecon.errors import InputError
from llmecon.studies.parameters import Parameter, Value


@dataclass(frozen=True)
class Chapter:
    """One notebook of the book.

    Args:
        slug: Name on the command line, such as `xpu-needs`.
        title: Its first heading.
        notebook: Path of the notebook, without outputs.
        parameters: What can be set, in the order declared.
    """

    slug: str
    title: str
    notebook: Path
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True)
class ParameterSet:
    """Values for several chapters, as read from a YAML file.

    Args:
        name: Name of the set, from its file.
        common: Values for every chapter that has the parameter.
        chapters: Values by chapter, which win over the common ones.
    """

    name: str
    common: Mapping[str, Any]
    chapters: Mapping[str, Mapping[str, Any]]

    def values(self, chapter: Chapter) -> dict[str, Any]:
        """The set's values for one chapter, not yet validated."""
        names = {parameter.name for parameter in chapter.parameters}
        common = {name: value for name, value in self.common.items() if name in names}
        return common | dict(self.chapters.get(chapter.slug, {}))


EMPTY = ParameterSet("default", {}, {})


def chapters() -> tuple[Chapter, ...]:
    """All chapters, by slug."""
    return tuple(_read(notebook) for notebook in sorted(paths.NOTEBOOKS.glob("*.ipynb")))


def chapter(slug: str) -> Chapter:
    """The chapter called `slug`.

    Raises:
        InputError: There is none; the message names the nearest.
    """
    slugs = [_slug(notebook) for notebook in sorted(paths.NOTEBOOKS.glob("*.ipynb"))]
    if slug not in slugs:
        raise InputError(_unknown("chapter", slug, slugs))
    return _read(paths.NOTEBOOKS / f"{slug.replace('-', '_')}.ipynb")


def validate(chapter: Chapter, values: Mapping[str, Any]) -> dict[str, Value]:
    """Check values for a chapter's parameters and fill in its defaults.

    Args:
        chapter: The chapter.
        values: Values by parameter name; numbers may be given as text.

    Returns:
        One value of the declared type for every parameter, in the order declared.

    Raises:
        InputError: A name is unknown or a value not allowed; one line tells all that is wrong. Or
            the requests are longer than a model reads.
    """
    record = _record(chapter, values).model_dump()
    _require_context(chapter, record)
    return record


def _require_context(chapter: Chapter, values: Mapping[str, Value]) -> None:
    """Refuse requests that a chapter's models can't read, before anything is executed."""
    models = [p.name for p in chapter.parameters if p.table == "models" and not p.several]
    context = {row["id"]: float(row["context_tokens"]) for row in inputs.rows("models")}
    for kind in ("", "long_"):
        names = [f"{kind}prompt_tokens", f"{kind}output_tokens"]
        tokens = sum(float(values[name]) for name in names if name in values)
        for name in models if set(names) <= set(values) else ():
            # A word in place of an id leaves the choice of a model to the study.
            most = context.get(str(values[name]), math.inf)
            if tokens > most:
                raise InputError(
                    f"{' and '.join(names)}: {values[name]} handles at most {most:,.0f} tokens and "
                    f"these are {tokens:,.0f}: lower them or choose another {name}"
                )


def check(slug: str, namespace: Mapping[str, Any]) -> pydantic.BaseModel:
    """Validate the parameters inside a running notebook, however it was started.

    Args:
        slug: The chapter.
        namespace: The notebook's `globals()`.

    Returns:
        A frozen record with one attribute a parameter.

    Raises:
        InputError: As in `validate`.
    """
    of = chapter(slug)
    names = {parameter.name for parameter in of.parameters} | _injected(namespace)
    record = _record(of, {name: namespace[name] for name in names if name in namespace})
    _checked.clear()
    _checked.update(record.model_dump())
    return record


# A notebook has a process of its own, so there is one scenario at a time.
_checked: dict[str, Value] = {}


def checked() -> Mapping[str, Value]:
    """The parameters that this notebook was checked with; empty outside a chapter."""
    return dict(_checked)


def load(file: Path) -> ParameterSet:
    """Read a parameter set: a YAML mapping with `common` and `chapters`, both optional.

    Args:
        file: The YAML file.

    Raises:
        InputError: The file can't be read, or names a chapter or parameter that doesn't exist.
    """
    content = inputs.read_yaml(file) or {}
    known = {of.slug: of for of in chapters()}
    top = _mapping(file, "the file", content, ["common", "chapters"])
    every_name = {parameter.name for of in known.values() for parameter in of.parameters}
    common = _mapping(file, "common", top.get("common"), sorted(every_name))
    by_chapter = _mapping(file, "chapters", top.get("chapters"), list(known))
    return ParameterSet(
        name=file.stem,
        common=common,
        chapters={
            slug: _mapping(file, slug, values, [p.name for p in known[slug].parameters])
            for slug, values in by_chapter.items()
        },
    )


def describe(chapter: Chapter) -> dict[str, Any]:
    """A chapter and its parameters as plain data, ready for JSON."""
    rows = [
        asdict(parameter) | {"type": parameter.type.__name__} for parameter in chapter.parameters
    ]
    return {"chapter": chapter.slug, "title": chapter.title, "parameters": rows}


def save(chapter: Chapter, values: Mapping[str, Value], file: Path) -> None:
    """Write one chapter's values as a parameter set that `load` reads.

    Args:
        chapter: The chapter.
        values: Its validated values.
        file: The YAML file to write.
    """
    help_lines = f"# {chapter.title}\n# Rerun with: llmecon run {chapter.slug} --set {file.name}\n"
    content = yaml.safe_dump({"chapters": {chapter.slug: dict(values)}}, sort_keys=False)
    file.write_text(help_lines + content, encoding="utf-8")


def _slug(notebook: Path) -> str:
    return notebook.stem.replace("_", "-")


def _read(notebook: Path) -> Chapter:
    # As plain JSON: what reads notebooks is slow to import.
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    title = "".join(cells[0]["source"]) if cells else ""
    heading = re.search(r"^# +(.+)", title, re.MULTILINE)
    slug = _slug(notebook)
    return Chapter(
        slug=slug,
        title=heading[1].strip() if heading else slug,
        notebook=notebook,
        parameters=studies.scenario_of(slug).parameters() if slug in studies.CHAPTERS else (),
    )


def cell(parameters: Sequence[Parameter]) -> str:
    """The parameters cell of a chapter whose study declares them.

    Args:
        parameters: as the study declares them.
    """
    return "\n".join(_line(parameter) for parameter in parameters)


def _line(parameter: Parameter) -> str:
    terms = [parameter.unit] if parameter.unit else []
    if parameter.minimum is not None and parameter.maximum is not None:
        terms.append(f"{_short(parameter.minimum)} to {_short(parameter.maximum)}")
    if parameter.choices:
        terms.append(f"one of {', '.join(parameter.choices)}")
    if parameter.table:
        terms.append(
            _identified(parameter.table, parameter.column, parameter.several, parameter.besides)
        )
    if parameter.file:
        terms.append(f"file by {parameter.file}")
    default = (
        json.dumps(parameter.default) if parameter.type is str else _written(parameter.default)
    )
    meaning = f"{parameter.help} [{', '.join(terms)}]"
    return f"{parameter.name}: {parameter.type.__name__} = {default}  # {meaning}"


def _identified(table: str, column: str, several: bool, besides: str) -> str:
    """What an id is of: `model id`, `xpu ids`, `api price id or auto`, `curve of retrieval`."""
    if column != "id":
        return f"{column} of {table}"
    return f"{_singular(table)} id{'s' if several else ''}{f' or {besides}' if besides else ''}"


def _written(value: Value) -> str:
    """A number as a person writes it: 15e12 rather than 15000000000000.0."""
    if isinstance(value, float) and value >= 1e6:
        exponent = 3 * (int(math.log10(value)) // 3)
        return f"{value / 10.0**exponent:g}e{exponent}"
    return repr(value)


def _short(limit: float) -> str:
    """A limit as a person writes it: 1e5 rather than 100000."""
    if limit >= 1e4 and math.log10(limit).is_integer():
        return f"1e{math.log10(limit):.0f}"
    return re.sub(r"e([-+]?)0*", lambda sign: f"e{sign[1].strip('+')}", f"{limit:g}")


def _singular(table: str) -> str:
    """What one row of a table is called."""
    name = f"{table.removesuffix('ies')}y" if table.endswith("ies") else table.removesuffix("s")
    return name.replace("_", " ")


def _record(chapter: Chapter, values: Mapping[str, Any]) -> pydantic.BaseModel:
    fields: dict[str, Any] = {
        parameter.name: (_annotation(parameter), parameter.default)
        for parameter in chapter.parameters
    }
    settings = pydantic.ConfigDict(extra="forbid", frozen=True, protected_namespaces=())
    model: type[pydantic.BaseModel] = pydantic.create_model(
        chapter.slug, __config__=settings, **fields
    )
    try:
        return model(**values)
    except pydantic.ValidationError as invalid:
        declared = {parameter.name: parameter for parameter in chapter.parameters}
        lines = [_explain(chapter, declared, error) for error in invalid.errors()]
        raise InputError("; ".join(lines)) from None


def _annotation(parameter: Parameter) -> Any:
    """The pydantic type that accepts what the declaration allows."""

    def refuse_booleans(value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError("a truth value is not a number")
        return value

    def within(value: float) -> float:
        low = -math.inf if parameter.minimum is None else parameter.minimum
        high = math.inf if parameter.maximum is None else parameter.maximum
        if not (low <= value <= high and math.isfinite(value)):
            raise ValueError("out of range")
        return value

    def known(table: str, value: str) -> str:
        if parameter.besides and value == parameter.besides:
            return value
        for identifier in value.split(",") if parameter.several else [value]:
            try:
                inputs.require(table, identifier.strip(), parameter.column)
            except InputError as error:
                raise InputError(f"{parameter.name}: {error}") from None
        return value

    def readable(value: str) -> str:
        if not value:
            return value
        from llmecon.evidence import own_rows  # slow to import, and few name a file

        # A notebook runs elsewhere.
        file = Path(value).expanduser().absolute()
        try:
            own_rows.load(file)
        except InputError as error:
            raise InputError(f"{parameter.name}: {error}") from None
        return str(file)

    def offered(value: str) -> str:
        if value not in parameter.choices:
            raise ValueError("not one of the choices")
        return value

    checks: list[Any] = []
    if parameter.type in (int, float):
        checks.append(pydantic.BeforeValidator(refuse_booleans))
        checks.append(pydantic.AfterValidator(within))
    if parameter.table:
        checks.append(pydantic.AfterValidator(partial(known, parameter.table)))
    if parameter.choices:
        checks.append(pydantic.AfterValidator(offered))
    if parameter.file:
        checks.append(pydantic.AfterValidator(readable))
    return Annotated[parameter.type, *checks] if checks else parameter.type


def _explain(chapter: Chapter, declared: Mapping[str, Parameter], error: Any) -> str:
    """One line on one of pydantic's errors."""
    name = str(error["loc"][0])
    if name not in declared:
        return _unknown(f"parameter of {chapter.slug}", name, list(declared), "llmecon chapters")
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, InputError):
        return str(cause)
    unit = f" [{declared[name].unit}]" if declared[name].unit else ""
    return f"{name}: got {inputs.shown(error['input'])}; expected {declared[name].allowed}{unit}"


def _unknown(kind: str, name: str, known: Sequence[str], command: str = "llmecon chapters") -> str:
    near = inputs.nearest(name, known)
    return f"unknown {kind} {inputs.shown(name)}; {near}list them with: {command}"


def _mapping(file: Path, where: str, content: Any, allowed: Sequence[str]) -> dict[str, Any]:
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InputError(
            f"{file}: {where} must map names to values, not be {inputs.shown(content)}"
        )
    for key in content:
        if key not in allowed:
            raise InputError(f"{file}: {_unknown(f'name in {where}:', key, allowed)}")
    return content


def _injected(namespace: Mapping[str, Any]) -> set[str]:
    """Names that papermill's own cell assigned: it injects unknown ones with a mere warning."""
    cells = [source for source in namespace.get("In", ()) if source.startswith("# Parameters\n")]
    return {
        target.id
        for source in cells
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
