"""A graph of scalar operations, and its text in Vega's expression language.

Nodes are made once: the same operation on the same operands is the same node, so that what two
results share is computed once. What follows from constants alone is computed when it is made.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.polynomial import chebyshev

# A shared term is given a name of its own; one used once is written where it is used, up to this
# length, beyond which a reader of the page's source would be lost.
_LONGEST = 6000
# Nor does a term get a name where repeating it takes no more than this many characters.
_REPEATED = 300

_BINARY: Mapping[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: float(np.divide(a, b)),
    "pow": lambda a, b: float(np.power(a, b)),
    "min": lambda a, b: float(np.minimum(a, b)),
    "max": lambda a, b: float(np.maximum(a, b)),
    "<": lambda a, b: float(a < b),
    "<=": lambda a, b: float(a <= b),
    "==": lambda a, b: float(a == b),
    "!=": lambda a, b: float(a != b),
    "&&": lambda a, b: float(bool(a) and bool(b)),
    "||": lambda a, b: float(bool(a) or bool(b)),
}
_UNARY: Mapping[str, Callable[[float], float]] = {
    "neg": lambda a: -a,
    "!": lambda a: float(not a),
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "floor": np.floor,
    "ceil": np.ceil,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
}
_INFIX = ("+", "-", "*", "/", "<", "<=", "==", "!=", "&&", "||")
_LOGICAL = ("<", "<=", "==", "!=", "&&", "||", "!")
_SYMMETRIC = ("+", "*", "min", "max", "==", "!=", "&&", "||")


@dataclass(frozen=True, eq=False)
class Node:
    """One scalar of a graph.

    Attributes:
        operation: what it is made by; "constant", "input", "menu" or "select" among them.
        operands: the nodes it is made from.
        value: of a constant; NaN otherwise.
        text: an input's name, or a menu's entries.
        inputs: the inputs that it depends on, one bit each.
        order: how many nodes were made before it.
    """

    operation: str
    # Graphs share nodes, so that writing out all operands of operands might never end.
    operands: tuple["Node", ...] = field(repr=False)
    value: float
    text: str
    inputs: int
    order: int

    @property
    def constant(self) -> bool:
        """Whether it depends on nothing."""
        return self.operation == "constant"

    @property
    def logical(self) -> bool:
        """Whether it is true or false rather than a number."""
        if self.operation == "select":
            return self.operands[1].logical and self.operands[2].logical
        return self.operation in _LOGICAL


@dataclass(frozen=True)
class Program:
    """Expressions that compute some results, each using only names before it.

    Attributes:
        signals: name and expression of what depends on the inputs alone.
        rows: name and expression of what also depends on the swept input, a row at a time.
        results: by result, the name or the text under which it is found: a signal's, a
            `datum` field's, or a literal.
    """

    signals: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, str], ...]
    results: Mapping[str, str]


class Graph:
    """Makes nodes, each only once."""

    def __init__(self) -> None:
        self._made: dict[tuple[object, ...], Node] = {}
        self._inputs: dict[str, int] = {}

    def constant(self, value: float) -> Node:
        """A number, or 1 and 0 for true and false."""
        number = float(value)
        # Zero has two signs that compare equal but divide differently.
        key = ("constant", number, math.copysign(1.0, number))
        return self._node(key, "constant", value=number)

    def constants(self, values: np.ndarray) -> np.ndarray:
        """An array of numbers.

        Args:
            values: the numbers.
        """
        made = np.empty(values.shape, dtype=object)
        for index in np.ndindex(values.shape):
            made[index] = self.constant(float(values[index]))
        return made

    def input(self, name: str) -> Node:
        """What a control sets, or what is swept.

        Args:
            name: a Vega identifier; fields of rows begin with `datum.`.
        """
        self._inputs.setdefault(name, len(self._inputs))
        key = ("input", name)
        return self._node(key, "input", text=name, inputs=1 << self._inputs[name])

    def menu(self, menus: Iterable[str], entries: np.ndarray) -> Node:
        """A number looked up by the entries chosen in some menus.

        Args:
            menus: their names, whose values are indices.
            entries: the numbers, one axis a menu; axes along which nothing changes are dropped.
        """
        kept = []
        for axis, name in reversed(list(enumerate(menus))):
            if np.all(entries == np.take(entries, [0], axis)):
                entries = np.take(entries, 0, axis)
            else:
                kept.append(self.input(name))
        kept.reverse()
        if not kept:
            return self.constant(float(entries))
        text = _listed(entries)
        return self._node(
            ("menu", text, tuple(map(id, kept))),
            "menu",
            operands=tuple(kept),
            text=text,
            inputs=_union(kept),
        )

    def unary(self, operation: str, a: Node) -> Node:
        """An operation on one operand."""
        if a.constant:
            with np.errstate(all="ignore"):
                return self.constant(_UNARY[operation](a.value))
        if operation in ("neg", "!") and a.operation == operation:
            return a.operands[0]
        if operation == "abs" and a.operation == "abs":
            return a
        return self._operation(operation, a)

    def binary(self, operation: str, a: Node, b: Node) -> Node:
        """An operation on two operands."""
        if a.constant and b.constant:
            with np.errstate(all="ignore"):
                return self.constant(_BINARY[operation](a.value, b.value))
        known = self._known(operation, a, b)
        if known is not None:
            return known
        if operation in _SYMMETRIC and a.order > b.order:
            a, b = b, a
        return self._operation(operation, a, b)

    def select(self, condition: Node, yes: Node, no: Node) -> Node:
        """One of two, by a condition."""
        if condition.constant:
            return yes if condition.value else no
        if condition.operation == "!":
            condition, yes, no = condition.operands[0], no, yes
        # Within a branch the condition is known.
        if yes.operation == "select" and yes.operands[0] is condition:
            yes = yes.operands[1]
        if no.operation == "select" and no.operands[0] is condition:
            no = no.operands[2]
        return yes if yes is no else self._operation("select", condition, yes, no)

    def number(self, a: Node) -> Node:
        """Truth as 1 and 0."""
        return self.select(a, self.constant(1), self.constant(0)) if a.logical else a

    def truth(self, a: Node) -> Node:
        """Anything but 0 as true."""
        if a.logical or a.constant:
            return a
        return self.binary("!=", a, self.constant(0))

    def _known(self, operation: str, a: Node, b: Node) -> Node | None:
        """What an operation comes to where one operand is a constant that makes it trivial."""
        left = a.value if a.constant else None
        right = b.value if b.constant else None
        if operation == "+" and 0.0 in (left, right):
            return b if left == 0.0 else a
        if operation == "-" and right == 0.0:
            return a
        if operation == "-" and a is b:
            return self.constant(0.0)
        if operation == "-" and left == 0.0:
            return self.unary("neg", b)
        if operation == "*" and 0.0 in (left, right):
            return self.constant(0.0)
        if operation == "*" and 1.0 in (left, right):
            return b if left == 1.0 else a
        if operation == "*" and -1.0 in (left, right):
            return self.unary("neg", b if left == -1.0 else a)
        if operation == "/" and (right == 1.0 or left == 0.0):
            return a
        if operation == "pow" and right in (0.0, 1.0):
            return a if right == 1.0 else self.constant(1.0)
        if operation in ("min", "max", "&&", "||") and a is b:
            return a
        if operation in ("&&", "||") and (left is not None or right is not None):
            known, other = (left, b) if left is not None else (right, a)
            decides = not known if operation == "&&" else bool(known)
            return self.constant(float(operation == "||")) if decides else self.truth(other)
        return None

    def _operation(self, operation: str, *operands: Node) -> Node:
        key = (operation, *map(id, operands))
        return self._node(key, operation, operands=operands, inputs=_union(operands))

    def _node(
        self,
        key: tuple[object, ...],
        operation: str,
        *,
        operands: tuple[Node, ...] = (),
        value: float = math.nan,
        text: str = "",
        inputs: int = 0,
    ) -> Node:
        if key not in self._made:
            self._made[key] = Node(operation, operands, value, text, inputs, len(self._made))
        return self._made[key]

    # ------------------------------------------------------------------ composed functions

    def log1p(self, x: Node) -> Node:
        """log(1 + x) without the loss of digits near 0 [Higham2002]."""
        one = self.constant(1)
        sum_ = self.binary("+", one, x)
        lost = self.binary("-", sum_, one)
        same = self.binary("==", lost, self.constant(0))
        divisor = self.select(same, one, lost)
        ratio = self.binary("/", x, divisor)
        return self.select(same, x, self.binary("*", self.unary("log", sum_), ratio))

    def expm1(self, x: Node) -> Node:
        """exp(x) - 1 without the loss of digits near 0 [Higham2002]."""
        one = self.constant(1)
        power = self.unary("exp", x)
        difference = self.binary("-", power, one)
        # Far below 0 the power vanishes, far above it has no finite logarithm to correct by.
        plain = self.binary("<", self.constant(1), self.unary("abs", x))
        same = self.binary("==", power, one)
        guarded = self.select(self.binary("||", plain, same), self.constant(math.e), power)
        corrected = self.binary("*", difference, self.binary("/", x, self.unary("log", guarded)))
        return self.select(plain, difference, self.select(same, x, corrected))

    def erfc(self, x: Node) -> Node:
        """The complementary error function [ShepherdLaframboise1981]."""
        size = self.unary("abs", x)
        centre = self.constant(_ERFC_CENTRE)
        t = self.binary("/", self.binary("-", size, centre), self.binary("+", size, centre))
        *rest, last = _erfc_coefficients()
        total = self.constant(last)
        for coefficient in reversed(rest):
            total = self.binary("+", self.constant(coefficient), self.binary("*", t, total))
        bell = self.unary("exp", self.unary("neg", self.binary("*", size, size)))
        tail = self.binary(
            "/",
            self.binary("*", bell, total),
            self.binary("+", self.constant(1), self.binary("*", self.constant(2), size)),
        )
        below = self.binary("<", x, self.constant(0))
        return self.select(below, self.binary("-", self.constant(2), tail), tail)

    # ------------------------------------------------------------------ text

    def program(self, results: Mapping[str, Node], swept: str = "", prefix: str = "v") -> Program:
        """Expressions for some results.

        Args:
            results: nodes by the result's name.
            swept: input whose value differs from row to row; empty where nothing is swept.
            prefix: what generated names begin with.

        Returns:
            The expressions. What doesn't depend on the swept input is a signal, computed once and
            again only where its own inputs change.
        """
        sweeps = 1 << self._inputs[swept] if swept in self._inputs else 0
        used = _uses(results.values())
        names: dict[int, str] = {}
        texts: dict[int, str] = {}
        signals: list[tuple[str, str]] = []
        rows: list[tuple[str, str]] = []
        of_rows = {id(o) for node in used.values() if node[0].inputs & sweeps
                   for o in node[0].operands if not o.inputs & sweeps}  # fmt: skip
        asked = {id(node) for node in results.values()}
        for key, (node, uses) in sorted(used.items(), key=lambda item: item[1][0].order):
            text = _text(node, texts)
            trivial = node.operation in ("constant", "input")
            repeated = (uses - 1) * len(text) > _REPEATED
            alone = repeated or len(text) > _LONGEST or key in of_rows or key in asked
            if alone and not trivial:
                by_row = bool(node.inputs & sweeps)
                name = f"{prefix}{len(names)}"
                (rows if by_row else signals).append((name, text))
                names[key] = text = f"datum.{name}" if by_row else name
            texts[key] = text
        found = {name: texts[id(node)] for name, node in results.items()}
        return Program(tuple(signals), tuple(rows), found)


def _uses(results: Iterable[Node]) -> dict[int, tuple[Node, int]]:
    """The nodes that results need, and by how many others each is used."""
    used: dict[int, tuple[Node, int]] = {}
    waiting = list(results)
    while waiting:
        node = waiting.pop()
        seen = used.get(id(node))
        used[id(node)] = (node, seen[1] + 1 if seen else 1)
        if not seen:
            waiting.extend(node.operands)
    return used


def _text(node: Node, texts: Mapping[int, str]) -> str:
    """A node's expression, given those of its operands."""
    parts = [texts[id(operand)] for operand in node.operands]
    if node.operation == "constant":
        return _literal(node.value)
    if node.operation == "input":
        return node.text
    if node.operation == "menu":
        return node.text + "".join(f"[{part}]" for part in parts)
    if node.operation == "select":
        return f"({parts[0]}?{parts[1]}:{parts[2]})"
    if node.operation == "neg":
        return f"(-{parts[0]})"
    if node.operation == "!":
        return f"(!{parts[0]})"
    if node.operation in _INFIX:
        return f"({parts[0]}{node.operation}{parts[1]})"
    return f"{node.operation}({','.join(parts)})"


def _literal(value: float) -> str:
    if math.isnan(value):
        return "(0/0)"
    if math.isinf(value):
        return "(1/0)" if value > 0 else "(-1/0)"
    text = repr(value).removesuffix(".0")
    return f"({text})" if value < 0 or text.startswith("-") else text


def _listed(entries: np.ndarray) -> str:
    if entries.ndim == 0:
        return _literal(float(entries))
    return f"[{','.join(_listed(entry) for entry in entries)}]"


def _union(nodes: Iterable[Node]) -> int:
    inputs = 0
    for node in nodes:
        inputs |= node.inputs
    return inputs


_ERFC_CENTRE = 3.75
_ERFC_DEGREE = 28


@cache
def _erfc_coefficients() -> tuple[float, ...]:
    """Polynomial of (x - c) / (x + c) that is (1 + 2x) exp(x**2) erfc(x) to 14 digits, x >= 0."""
    from scipy.special import erfcx

    t = chebyshev.chebpts1(_ERFC_DEGREE + 1)
    x = _ERFC_CENTRE * (1.0 + t) / (1.0 - t)
    series = chebyshev.chebfit(t, (1.0 + 2.0 * x) * erfcx(x), _ERFC_DEGREE)
    return tuple(float(c) for c in chebyshev.cheb2poly(series))
