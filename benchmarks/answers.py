"""How long a reader waits: CPU seconds of commands, and what an answer's seconds are spent on.

Each command runs in a process of its own, with parameters that are new each time, as on a machine
that has run the book once. CPU seconds vary less than seconds when other work is going on. Run with
`make bench`, or `python -m benchmarks.answers` (some minutes).
"""

import os
import random
import resource
import subprocess
import sys
import tempfile
import time

from llmecon import studies
from llmecon.execution import compiling
from llmecon.publishing import scenario

# In a process of its own: imports, then tracing by JAX and compiling by XLA, apart from the rest.
_TAKEN_APART = """
import sys, time
started = time.process_time()
from llmecon import studies
chapter, parameters = sys.argv[1], dict(pair.split("=") for pair in sys.argv[2:])
from llmecon.publishing import prose, scenario
study = studies.module(chapter, "study")
frames = studies.module(chapter, "frames")
import jax
imported = time.process_time() - started

from llmecon.execution import interpreter
spent = {"trace": 0.0, "compile": 0.0}
def timed(kind, function):
    def run(*given, **named):
        started = time.process_time()
        try:
            return function(*given, **named)
        finally:
            spent[kind] += time.process_time() - started
    return run
interpreter._Entry._trace = timed("trace", interpreter._Entry._trace)
def heard(event, seconds, **_):
    if event.endswith("backend_compile_duration"):
        spent["compile"] += seconds
jax.monitoring.register_event_duration_secs_listener(heard)

values = scenario.validate(scenario.chapter(chapter), parameters)
found = study.resolve(studies.scenario_of(chapter)(**values))
found.quantities
before = time.process_time()
prose.render(chapter, "sentence", **frames.facts(found))
rendered = time.process_time() - before
whole = time.process_time() - started
rest = whole - imported - sum(spent.values()) - rendered
print(imported, spent["trace"], spent["compile"], rest, rendered)
"""
PARTS = ("import", "trace", "compile", "run", "render")


def cpu_seconds(*command: str) -> float:
    """CPU seconds of a command and of all the processes that it starts.

    Args:
        command: the program and its arguments.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | compiling.environment()
    subprocess.run(command, check=True, env=environment, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


SIZES = ("prompt_tokens", "document_tokens", "requests_per_second")
"""Parameters that change everything behind them, one of which each chapter has."""


def new(chapter: str) -> tuple[str, float]:
    """A parameter of a chapter and a value that it never had."""
    default = {of.name: of.default for of in scenario.chapter(chapter).parameters}
    name = next(name for name in SIZES if default.get(name))
    return name, round(float(default[name]) * random.uniform(1.01, 1.1), 3)


def commands() -> list[tuple[str, float]]:
    """What commands take, CPU seconds."""
    python = sys.executable
    jax = cpu_seconds(python, "-c", "import jax")
    rows = [
        ("import jax", jax),
        ("import llmecon", cpu_seconds(python, "-c", "import llmecon")),
        ("llmecon --help", cpu_seconds(python, "-m", "llmecon", "--help")),
        ("llmecon list xpus", cpu_seconds(python, "-m", "llmecon", "list", "xpus")),
        ("llmecon chapters", cpu_seconds(python, "-m", "llmecon", "chapters")),
    ]
    for chapter in studies.CHAPTERS:
        name, value = new(chapter)
        asked = (python, "-m", "llmecon", "ask", chapter, "-p", name, str(value))
        rows.append((f"llmecon ask {chapter} -p {name} {value:g}", cpu_seconds(*asked)))
    problem = "book/problems/two-sizes.yaml"
    rows.append(
        (f"llmecon choose {problem}", cpu_seconds(python, "-m", "llmecon", "choose", problem))
    )
    for chapter in studies.CHAPTERS:
        name, value = new(chapter)
        with tempfile.TemporaryDirectory() as folder:
            run = (python, "-m", "llmecon", "run", chapter, "-p", name, str(value))
            run = (*run, "-o", f"{folder}/run")
            rows.append((f"llmecon {' '.join(run[3:-2])}", cpu_seconds(*run)))
    return rows


def taken_apart(chapter: str) -> list[float]:
    """What the seconds of an answer are spent on: CPU seconds of each of `PARTS`.

    Args:
        chapter: its name.
    """
    name, value = new(chapter)
    found = subprocess.run(
        [sys.executable, "-c", _TAKEN_APART, chapter, f"{name}={value}"],
        check=True,
        env=os.environ | compiling.environment(),
        capture_output=True,
        text=True,
    )
    return [float(part) for part in found.stdout.split()]


def main() -> None:
    """Print the tables."""
    started = time.monotonic()
    print("| command | CPU s |\n|---|--:|")
    for command, seconds in commands():
        print(f"| {command} | {seconds:.1f} |")
    print(f"\n| answer | {' | '.join(PARTS)} | CPU s |\n|---|{'--:|' * (len(PARTS) + 1)}")
    for chapter in studies.CHAPTERS:
        parts = taken_apart(chapter)
        told = " | ".join(f"{part:.1f}" for part in parts)
        print(f"| {chapter} | {told} | {sum(parts):.1f} |")
    print(f"\nmeasured in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
