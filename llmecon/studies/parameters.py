"""How a study declares what a reader may set: typed fields with a meaning, a unit and limits."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args, get_origin

import pydantic
from pydantic.fields import FieldInfo

Value = bool | int | float | str

_EXPECTED: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    str: "text",
}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a chapter.

    Args:
        name: Variable it sets in the notebook.
        type: bool, int, float or str.
        default: Value where none is given.
        help: What it means.
        unit: Unit of a number; empty where it has none.
        minimum: Least value, or None.
        maximum: Greatest value, or None.
        choices: The only values allowed; empty where there is no such list.
        table: Catalogue table whose ids are allowed, or None.
        column: Column of that table that holds them.
        several: The value is a comma-separated list of ids.
        besides: A word that may stand in place of an id; empty for none.
        file: What writes the file whose path it is, where it is a path; empty where not.
    """

    name: str
    type: type
    default: Value
    help: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    table: str | None = None
    column: str = "id"
    several: bool = False
    besides: str = ""
    file: str = ""

    @property
    def allowed(self) -> str:
        """What a value must be, in words."""
        if self.file:
            return f"nothing, or a file that {self.file} wrote"
        if self.table:
            what = "ids, separated by commas," if self.several else "an id"
            other = f"{self.besides}, or " if self.besides else ""
            return f"{other}{what} from: llmecon list {self.table}"
        if self.choices:
            return "one of " + ", ".join(self.choices)
        low, high = self.minimum, self.maximum
        if low is not None and high is not None:
            limits = f" from {low:g} to {high:g}"
        elif low is not None:
            limits = f" of at least {low:g}"
        elif high is not None:
            limits = f" of at most {high:g}"
        else:
            limits = ""
        return _EXPECTED[self.type] + limits


class Scenario(pydantic.BaseModel):
    """What a reader may set in a chapter; a study declares a field for each parameter."""

    model_config = pydantic.ConfigDict(
        extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False
    )

    chapter: ClassVar[str]

    @classmethod
    def parameters(cls) -> tuple[Parameter, ...]:
        """The fields as parameters, in the order declared."""
        return tuple(_parameter(name, field) for name, field in cls.model_fields.items())


def number(
    default: float | int,
    meaning: str,
    unit: str,
    minimum: float | int | None = None,
    maximum: float | int | None = None,
) -> Any:
    """A field that holds a number.

    Args:
        default: value where none is given.
        meaning: what it is, in a few words.
        unit: of the number.
        minimum: least value.
        maximum: greatest value.
    """
    extra: dict[str, Any] = {"unit": unit}
    return pydantic.Field(
        default, description=meaning, ge=minimum, le=maximum, json_schema_extra=extra
    )


def choice(default: str, meaning: str) -> Any:
    """A field that holds one of a few words, which its type lists.

    Args:
        default: value where none is given.
        meaning: what it is, in a few words.
    """
    return pydantic.Field(default, description=meaning)


def identifier(
    default: str,
    meaning: str,
    table: str,
    column: str = "id",
    several: bool = False,
    besides: str = "",
) -> Any:
    """A field that holds an id of a table.

    Args:
        default: value where none is given.
        meaning: what it is, in a few words.
        table: the table's name.
        column: of the table, which holds the ids.
        several: the value is a comma-separated list of ids.
        besides: a word that may stand in place of an id; empty for none.
    """
    extra: dict[str, Any] = {
        "table": table,
        "column": column,
        "several": several,
        "besides": besides,
    }
    return pydantic.Field(default, description=meaning, json_schema_extra=extra)


Tuning = Literal["typical", "best"]
"""How well servers are set up: as those of most who publish, or as the best public benchmarks."""


def tuning() -> Any:
    """The field that says how well servers are set up, alike in every chapter that serves."""
    return choice("typical", "servers as most people's, or as tuned as the best benchmarks'")


def my_server() -> Any:
    """The field that names a file on one's own server, alike in every chapter that serves."""
    return pydantic.Field(
        default="",
        description="own server, as measured, in place of tuning",
        json_schema_extra={"file": "llmecon fit-mine"},
    )


def _parameter(name: str, field: FieldInfo) -> Parameter:
    extra: dict[str, Any] = dict(field.json_schema_extra or {})  # type: ignore[arg-type]
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    type_ = str if choices else field.annotation
    assert type_ in _EXPECTED, f"{name}: {type_} is no type of a parameter"
    lows = [of.ge for of in field.metadata if hasattr(of, "ge")]
    highs = [of.le for of in field.metadata if hasattr(of, "le")]
    return Parameter(
        name=name,
        type=type_,
        default=field.default,
        help=field.description or "",
        unit=extra.get("unit", ""),
        minimum=float(lows[0]) if lows else None,
        maximum=float(highs[0]) if highs else None,
        choices=choices,
        table=extra.get("table"),
        column=extra.get("column", "id"),
        several=extra.get("several", False),
        besides=extra.get("besides", ""),
        file=extra.get("file", ""),
    )
