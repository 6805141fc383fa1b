"""Programs that are kept on disk are those that tracing makes, for as long as the library stays."""

import ast
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmecon import paths
from llmecon.execution import interpreter, trace_cache
from llmecon.serving import experience
from llmecon.studies.tokenomics import frames

pytestmark = pytest.mark.internals

calls: list[str] = []


class Pair(eqx.Module):
    """A record with something that is no array."""

    number: Any
    name: str = eqx.field(static=True, default="a pair")


def doubled(given: Pair, name: str) -> tuple[Pair, str]:
    calls.append(name)
    loops = jax.lax.while_loop(lambda x: x < 50.0, lambda x: 2.0 * x, jnp.sum(given.number))
    scattered = given.number.at[1].add(loops)
    return Pair(scattered + jnp.linalg.solve(jnp.eye(3) * 2.0, given.number)), name


def script(x: jax.Array) -> jax.Array:
    return 3.0 * x


def random(x: jax.Array) -> jax.Array:
    calls.append("random")
    return x + jax.random.normal(jax.random.key(0), x.shape)


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "KEPT", tmp_path)
    monkeypatch.setattr(interpreter, "KNOWN", interpreter.KNOWN | {"tests"})
    calls.clear()


def fresh(function: Callable[..., Any], compiling: float = interpreter.COMPILING) -> Any:
    """The function as another process would have it."""
    return interpreter._run(function, "llmecon.somewhere 7", compiling)


@pytest.mark.parametrize("compiling", [interpreter.COMPILING, 0.0])
def test_what_one_process_traced_another_reads(compiling: float, tmp_path: Path) -> None:
    given = Pair(jnp.array([1.0, 2.0, 4.0]))
    expected, _ = doubled(given, "expected")
    for _ in range(2):
        found, name = fresh(doubled, compiling)(given, "traced")
        assert (type(found), found.name, name) == (Pair, "a pair", "traced")
        np.testing.assert_allclose(found.number, expected.number, rtol=1e-14)
    assert calls == ["expected", "traced"]
    assert len(list(tmp_path.glob("traced/*/*.pickle"))) == 1


def test_other_shapes_names_and_places_are_other_programs() -> None:
    fresh(doubled)(Pair(jnp.ones(3)), "first")
    fresh(doubled)(Pair(jnp.ones(3), "another"), "first")
    fresh(doubled)(Pair(jnp.ones(3)), "second")
    interpreter._run(doubled, "llmecon.somewhere 8", 1.0)(Pair(jnp.ones(3)), "first")
    assert calls == ["first", "first", "second", "first"]


def test_what_proved_worth_compiling_is_compiled_from_the_start() -> None:
    x = jnp.array([3.0, 1.0, 2.0])
    found = [fresh(doubled, 1e-12)(Pair(x), "it")[0].number for _ in range(2)]
    assert calls == ["it"]  # traced once, and neither for compiling nor by the second
    np.testing.assert_array_equal(*found)


def test_what_cannot_be_pickled_is_traced_again() -> None:
    by = 2.0
    local = [fresh(lambda f, x: f(x))(lambda x: by * x, jnp.ones(2)) for _ in range(2)]
    np.testing.assert_array_equal(*local)
    keys = [fresh(random, 0.0)(jnp.ones(2)) for _ in range(2)]
    np.testing.assert_array_equal(*keys)


def test_functions_of_callers_are_traced_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two scripts may each have a function of one name."""

    def evaluated() -> float:
        return float(fresh(lambda f, x: f(x))(script, jnp.asarray(2.0)))

    monkeypatch.setattr(interpreter, "KNOWN", interpreter.KNOWN - {"tests"})
    assert evaluated() == 6.0
    monkeypatch.setattr(f"{__name__}.script", lambda x: 5.0 * x)
    script.__module__, script.__qualname__ = __name__, "script"
    assert evaluated() == 10.0


def test_a_library_that_has_changed_is_traced_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fresh(doubled)(Pair(jnp.ones(3)), "before")
    monkeypatch.setattr(trace_cache, "_state", lambda: "changed since this process began")
    for _ in range(2):
        fresh(doubled)(Pair(jnp.ones(3)), "before")
    assert calls == ["before"] * 3
    # A process that begins now keeps its own programs, in place of those before.
    monkeypatch.setattr(trace_cache, "_AT_FIRST", trace_cache._state())
    monkeypatch.setattr(trace_cache, "_KIND", "traced/now")
    for _ in range(2):
        fresh(doubled)(Pair(jnp.ones(3)), "before")
    assert calls == ["before"] * 4
    assert [of.name for of in (tmp_path / "traced").iterdir()] == ["now"]


def test_a_file_that_cannot_be_read_is_made_again(tmp_path: Path) -> None:
    fresh(doubled)(Pair(jnp.ones(3)), "it")
    (file,) = tmp_path.glob("traced/*/*.pickle")
    file.write_bytes(b"half a fi")
    fresh(doubled)(Pair(jnp.ones(3)), "it")
    fresh(doubled)(Pair(jnp.ones(3)), "it")
    assert calls == ["it", "it"]


def test_functions_of_modules_are_kept_and_others_are_not(tmp_path: Path) -> None:
    interpreter.interpreted(doubled)(Pair(jnp.ones(3)), "it")
    assert not list(tmp_path.rglob("*.pickle"))
    frames._quality(0.2, 0.02, 100.0, experience.Reader(1.0, 5.0))
    assert list(tmp_path.glob("traced/*/*-program.pickle"))


def test_a_place_is_the_same_where_types_are_checked() -> None:
    """What checks them adds decorators to a module as it is read, and so moves what follows."""
    source = "def first(): ...\nsecond, third = place(), place()\n"
    plain, checked = ast.parse(source), ast.parse(source)
    function = checked.body[0]
    assert isinstance(function, ast.FunctionDef)
    function.decorator_list.append(ast.copy_location(ast.Name("callable", ast.Load()), function))
    told = []
    for module in (plain, checked):
        names = {
            "__name__": "llmecon.somewhere",
            "place": lambda: interpreter._place_in_module(sys._getframe(1)),
        }
        exec(compile(module, "somewhere.py", "exec"), names)
        told.append((names["second"], names["third"]))
    assert told[0] == told[1] == ("llmecon.somewhere 2 16", "llmecon.somewhere 2 25")
