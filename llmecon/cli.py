"""The `llmecon` command."""

import csv
import json
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from llmecon import inputs, paths
from llmecon.assignments import commands as teaching
from llmecon.commands import measurements
from llmecon.errors import InputError, absent
from llmecon.execution import compiling
from llmecon.publishing.slides.command import make_slides

# What is slow to import (papermill, Sphinx, JAX) is imported by the command that needs it.

_SET_HELP = "YAML file of parameter values: `common:` and, by chapter, `chapters:`."
_PAIR_HELP = "A parameter, see `llmecon chapters`; may be repeated."


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 2 bad input, 1 failure of the book itself.

    Args:
        arguments: The command line without the program's name; by default the process's own.
    """
    if "jax" not in sys.modules:
        compiling.apply()
    try:
        with _stopping():
            status = cli.main(arguments, prog_name="llmecon", standalone_mode=False) or 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else error.format_message(), err=True)
        status = 2
    except click.ClickException as error:
        status = _complain(2, error.format_message())
    except InputError as error:
        status = _complain(2, str(error))
    except ModuleNotFoundError as error:
        own = (error.name or "").startswith("llmecon")
        status = _complain(1, _record_failure(error)) if own else _complain(2, absent(error))
    except (click.Abort, KeyboardInterrupt):
        status = _complain(130, "interrupted")
    except Exception as error:
        status = _complain(1, _record_failure(error))
    sys.exit(status)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="llmecon")
def cli() -> None:
    """The economics of LLM deployment: rerun a chapter, or the whole book, for your own case."""


cli.add_command(make_slides)


@cli.command("chapters")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show_chapters(as_json: bool) -> None:
    """List the chapters with their parameters, types, units and defaults."""
    from llmecon.publishing import scenario

    chapters = scenario.chapters()
    if as_json:
        click.echo(json.dumps([scenario.describe(of) for of in chapters], indent=2))
        return
    for of in chapters:
        click.echo(f"{of.slug}: {of.title}")
        width = max((len(parameter.name) for parameter in of.parameters), default=0)
        for parameter in of.parameters:
            unit = f" [{parameter.unit}]" if parameter.unit else ""
            click.echo(f"  {parameter.name:<{width}}  {parameter.help}")
            click.echo(f"  {'':<{width}}  {parameter.allowed}{unit}; default {parameter.default}")
        click.echo()


@cli.command("list")
@click.argument("table", required=False)
def show_ids(table: str | None) -> None:
    """List the ids in a TABLE of the catalogue, or the tables."""
    tables = sorted(file.stem for file in paths.DATA.glob("*.csv"))
    if table is None:
        click.echo("\n".join(tables))
        return
    if table not in tables:
        near = inputs.nearest(table, tables)
        raise InputError(f"unknown table {inputs.shown(table)}; {near}list them with: llmecon list")
    with (paths.DATA / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    # Tables without ids of their own are about something that has: their first column.
    key = "id" if rows and "id" in rows[0] else next(iter(rows[0])) if rows else "id"
    names = {row[key]: row.get("name") or "" for row in rows}
    width = max(map(len, names), default=0)
    for identifier, name in names.items():
        click.echo(f"{identifier:<{width}}  {name}".rstrip())


@cli.command("run")
@click.argument("slug", metavar="CHAPTER")
@click.option("-p", "pairs", nargs=2, multiple=True, metavar="NAME VALUE", help=_PAIR_HELP)
@click.option("--set", "file", type=click.Path(path_type=Path), help=_SET_HELP)
@click.option(
    "-o", "folder", type=click.Path(path_type=Path), help="Output folder [default: runs/CHAPTER]."
)
def run_chapter(
    slug: str, pairs: Sequence[tuple[str, str]], file: Path | None, folder: Path | None
) -> None:
    """Rerun a CHAPTER: writes a notebook, a self-contained HTML report and the scenario."""
    of, values = _asked(slug, pairs, file)
    from llmecon.publishing.build import report

    page = report.make(of, values, folder or Path("runs") / slug, progress=_say)
    click.echo(f"report: {page}")


@cli.command("ask")
@click.argument("slug", metavar="CHAPTER")
@click.option("-p", "pairs", nargs=2, multiple=True, metavar="NAME VALUE", help=_PAIR_HELP)
@click.option("--set", "file", type=click.Path(path_type=Path), help=_SET_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def ask_chapter(
    slug: str, pairs: Sequence[tuple[str, str]], file: Path | None, as_json: bool
) -> None:
    """Answer the question of a CHAPTER: its headline numbers, and what moves them."""
    from llmecon import questions

    _, values = _asked(slug, pairs, file)
    found = questions.ask(slug, **values)
    click.echo(json.dumps(found.as_json(), indent=2) if as_json else "\n".join(found.lines()))


def _asked(
    slug: str, pairs: Sequence[tuple[str, str]], file: Path | None
) -> tuple[Any, dict[str, Any]]:
    """A chapter and all of its parameters, from a file and from the command line."""
    from llmecon.publishing import scenario

    of = scenario.chapter(slug)
    given = dict(pairs)
    if len(given) < len(pairs):
        raise InputError("a parameter is given twice; give each one value")
    parameters = scenario.load(file) if file else scenario.EMPTY
    return of, scenario.validate(of, parameters.values(of) | given)


@cli.command("build")
@click.option("--set", "file", type=click.Path(path_type=Path), help=_SET_HELP)
@click.option("-o", "folder", type=click.Path(path_type=Path), help="Folder of the site.")
def build_book(file: Path | None, folder: Path | None) -> None:
    """Build the whole book as a website, for a parameter set or with the defaults."""
    from llmecon.publishing import scenario
    from llmecon.publishing.build import execute

    parameters = scenario.load(file or paths.BOOK / "parameters" / "default.yaml")
    default = "html" if parameters.name == "default" else f"html-{parameters.name}"
    page = execute.build(parameters, folder or paths.BUILD / default, progress=_say)
    click.echo(f"the book is ready: open {page} in a browser (no server or network needed)")


@cli.command("pdf")
@click.option("--set", "file", type=click.Path(path_type=Path), help=_SET_HELP)
@click.option("-o", "output", type=click.Path(path_type=Path), help="PDF file to write.")
def print_book(file: Path | None, output: Path | None) -> None:
    """Print the whole book as a PDF, building it first if needed; takes Chromium or Chrome."""
    from llmecon.publishing import scenario
    from llmecon.publishing.build import browser, execute, pdf

    parameters = scenario.load(file or paths.BOOK / "parameters" / "default.yaml")
    default = parameters.name == "default"
    name = pdf.NAME if default else f"{pdf.NAME}-{parameters.name}"
    output = output or paths.BUILD / "pdf" / f"{name}.pdf"
    pdf.require_writable(output)
    browser.find()
    site = paths.BUILD / ("html" if default else f"html-{parameters.name}")
    execute.build(parameters, site, progress=_say)
    edition = "" if default else f"Computed with the parameter set {parameters.name}"
    click.echo(f"the book as PDF: {pdf.make(site, output, progress=_say, edition=edition)}")


@cli.command("footprints")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compare_footprints(as_json: bool) -> None:
    """Recompute published carbon footprints and their parts."""
    from llmecon.checks import footprints

    found = footprints.table(footprints.everything())
    if as_json:
        click.echo(found.to_json(orient="records", indent=2))
        return
    width = max(map(len, found["case"]))
    click.echo(f"{'':<{width}} {'part':<28} {'published':>10} {'computed':>10} {'ratio':>6}")
    for of in found.to_dict("records"):
        click.echo(
            f"{of['case']:<{width}} {of['part']:<28} {of['published']:>10.4g} "
            f"{of['computed']:>10.4g} {of['ratio']:>6.2f} {of['unit']}"
            f"{' (circular)' if of['circular'] else ''}"
        )


@cli.command("choose")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--parts", is_flag=True, help="Instances may be parts, as in a large fleet.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def choose_hardware(file: Path, parts: bool, as_json: bool) -> None:
    """Choose the best hardware for the problem described in FILE.yaml."""
    from llmecon import choice
    from llmecon.choice import description, report

    described = description.load(file)
    found = choice.best_in_parts(described) if parts else choice.best(described)
    if as_json:
        click.echo(json.dumps(report.as_json(described, found), indent=2))
        return
    click.echo("\n".join(report.lines(described, found)))


for _command in (
    measurements.validate_file,
    measurements.predict_file,
    measurements.fit_mine,
    measurements.calibrate_efficiencies,
    teaching.make_assignment,
    teaching.grade_submissions,
):
    cli.add_command(_command)


def _say(line: str) -> None:
    click.echo(line, err=True)


def _complain(status: int, message: str) -> int:
    click.echo(f"llmecon: {message}", err=True)
    return status


@contextmanager
def _stopping() -> Iterator[None]:
    """Let whatever asks the process to end unwind it, as Ctrl-C does, so that nothing is left."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _record_failure(error: Exception) -> str:
    """One line on an error that isn't the user's; the traceback goes to a file."""
    from llmecon.publishing.build import files
    from llmecon.publishing.build.execute import BuildError

    if isinstance(error, BuildError):
        return str(error)
    log = files.log("llmecon")
    log.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    said = " ".join(str(error).split())
    return f"internal error: {type(error).__name__}: {said}; log: {log}"
