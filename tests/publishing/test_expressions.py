"""The graph of scalar operations and its text, evaluated by Vega itself."""

import math

import numpy as np
import pytest
from scipy import special

from llmecon.publishing.panel.expressions import Graph
from tests.publishing.vega import evaluate

pytestmark = pytest.mark.internals


def test_an_operation_is_made_once_whatever_the_order_of_its_operands():
    graph = Graph()
    x, y = graph.input("x"), graph.input("y")
    assert graph.binary("+", x, y) is graph.binary("+", y, x)
    assert graph.binary("-", x, y) is not graph.binary("-", y, x)


def test_what_follows_from_constants_is_computed_at_once():
    graph = Graph()
    x = graph.input("x")
    two = graph.binary("*", graph.constant(4), graph.constant(0.5))
    assert two.constant
    assert two.value == 2.0
    assert graph.binary("*", x, graph.constant(1)) is x
    assert graph.binary("+", graph.constant(0), x) is x
    assert graph.binary("*", x, graph.constant(0)).constant
    assert graph.binary("-", x, x).value == 0.0
    assert graph.unary("neg", graph.unary("neg", x)) is x
    assert graph.select(graph.constant(1), x, two) is x


def test_a_branch_knows_its_condition():
    graph = Graph()
    x, y, z = (graph.input(name) for name in "xyz")
    positive = graph.binary("<", graph.constant(0), x)
    inner = graph.select(positive, y, z)
    assert graph.select(positive, inner, z) is inner
    assert graph.select(graph.unary("!", positive), z, inner) is inner


def test_zeros_of_both_signs_are_told_apart():
    graph = Graph()
    assert graph.constant(0.0) is not graph.constant(-0.0)


def test_a_menu_keeps_only_the_axes_along_which_something_changes():
    graph = Graph()
    table = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    node = graph.menu(["model", "xpu"], table)
    assert [of.text for of in node.operands] == ["xpu"]
    assert graph.menu(["model", "xpu"], np.full((2, 3), 7.0)).value == 7.0
    program = graph.program({"v": graph.menu(["model", "xpu"], table + np.array([[0.0], [10.0]]))})
    assert evaluate(program, {"model": 1, "xpu": 2}) == {"v": 13.0}


def test_a_shared_term_gets_a_name_and_what_is_not_asked_for_is_left_out():
    graph = Graph()
    x = graph.input("x")
    long = x
    for _ in range(40):
        long = graph.unary("exp", graph.unary("neg", long))
    graph.unary("sqrt", x)
    program = graph.program({"a": graph.unary("log", long), "b": graph.unary("sin", long)})
    shared = [text for _, text in program.signals if text.count("exp") == 40]
    assert len(shared) == 1
    assert not any("sqrt" in text for _, text in program.signals)


def test_what_is_swept_stands_in_rows_and_the_rest_outside_them():
    graph = Graph()
    x, t = graph.input("x"), graph.input("datum.t")
    slow = graph.unary("exp", x)
    program = graph.program({"y": graph.binary("*", slow, t), "z": slow}, swept="datum.t")
    (signal,) = program.signals
    (row,) = program.rows
    assert signal[1] == "exp(x)"
    assert row[1] == f"(datum.t*{signal[0]})"
    assert program.results == {"y": f"datum.{row[0]}", "z": signal[0]}


@pytest.mark.parametrize("x", [0.0, 1e-300, 1e-18, -1e-9, 3e-5, -0.3, 0.7, 20.0, -0.999999])
def test_functions_that_vega_lacks_keep_their_digits(x: float):
    graph = Graph()
    node = graph.input("x")
    program = graph.program(
        {
            "log1p": graph.log1p(node),
            "expm1": graph.expm1(node),
            "erfc": graph.erfc(node),
        }
    )
    found = evaluate(program, {"x": x})
    assert found["log1p"] == pytest.approx(math.log1p(x), rel=1e-14, abs=0)
    assert found["expm1"] == pytest.approx(math.expm1(x), rel=1e-14, abs=0)
    assert found["erfc"] == pytest.approx(special.erfc(x), rel=3e-14)


def test_values_that_are_not_finite_have_a_text():
    graph = Graph()
    x = graph.input("x")
    for value in (math.inf, -math.inf, math.nan, -2.0, 1e-7):
        program = graph.program({"v": graph.binary("max", x, graph.constant(value))})
        expected = float(np.maximum(-3.0, value))
        assert evaluate(program, {"x": -3.0})["v"] == pytest.approx(expected, nan_ok=True)
