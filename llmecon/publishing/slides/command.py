"""`llmecon slides`: slides of chapters, for teaching."""

from collections.abc import Sequence
from pathlib import Path

import click

from llmecon import paths


@click.command("slides")
@click.argument("slugs", metavar="[CHAPTER]...", nargs=-1)
@click.option(
    "--set",
    "file",
    type=click.Path(path_type=Path),
    help="YAML file of parameter values: `common:` and, by chapter, `chapters:`.",
)
@click.option("-o", "folder", type=click.Path(path_type=Path), help="Folder of the slides.")
def make_slides(slugs: Sequence[str], file: Path | None, folder: Path | None) -> None:
    """Make slides of chapters, or of all, to be shown in any browser without a network."""
    from llmecon.publishing import scenario
    from llmecon.publishing.build import slides

    parameters = scenario.load(file or paths.BOOK / "parameters" / "default.yaml")
    default = "slides" if parameters.name == "default" else f"slides-{parameters.name}"

    def say(line: str) -> None:
        click.echo(line, err=True)

    first = slides.make(parameters, slugs, folder or paths.BUILD / default, progress=say)
    click.echo(f"slides: open {first} in a browser (no server or network needed)")
