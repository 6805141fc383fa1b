"""Notebooks -> executed notebooks (papermill) -> staged book -> site (Jupyter Book).

Each step skips what was already made from the same inputs, and puts its result in place only when
it is whole.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from llmecon import compiling, paths
from llmecon.errors import InputError
from llmecon.publishing import files, scenario

WORKERS = 2  # each waits for a kernel, which is a process of its own

# Jupyter Book has no `python -m`, and its script need not be on the PATH.
_JUPYTER_BOOK = "from jupyter_book.cli.main import main; main()"

Progress = Callable[[str], None]


class BuildError(RuntimeError):
    """A chapter or the site can't be made; the message says which, why and where the log is."""


@dataclass(frozen=True)
class Execution:
    """A chapter to execute with given values.

    Args:
        chapter: The chapter.
        values: Validated values of all its parameters.
        output: Path of the executed notebook.
    """

    chapter: scenario.Chapter
    values: Mapping[str, scenario.Value]
    output: Path


def build(parameters: scenario.ParameterSet, site: Path, progress: Progress) -> Path:
    """Make the whole book for one parameter set.

    Args:
        parameters: Values for the chapters; what they leave out keeps its default.
        site: Folder of the finished site, replaced only on success.
        progress: Called with one line at a time.

    Returns:
        The site's first page.

    Raises:
        InputError: A value is not allowed, or `site` holds something other than a site.
        BuildError: A chapter or the site failed.
    """
    files.require_replaceable(site)
    folder = paths.BUILD / "executed" / parameters.name
    executions = [
        Execution(of, scenario.validate(of, parameters.values(of)), folder / f"{of.slug}.ipynb")
        for of in scenario.chapters()
    ]
    execute(executions, progress)

    library = library_digest()
    pages = files.tree_digest(paths.BOOK, paths.CONFIG, paths.ROOT / "CITATION.cff")
    key = files.digest([pages, *(_key(one, library) for one in executions)])
    if files.stamped(site) == key:
        progress("site: unchanged")
    else:
        started = time.monotonic()
        progress("site: building")
        staged = paths.BUILD / "stage"
        stage(executions, staged)
        with files.replacing(site) as new:
            make_site(staged, new)
            files.stamp(new, key)
        progress(f"site: {time.monotonic() - started:.0f} s")
    return site / "index.html"


def execute(executions: Sequence[Execution], progress: Progress) -> None:
    """Execute chapters side by side, except those whose inputs are unchanged.

    Args:
        executions: What to execute.
        progress: Called with one line at a time.

    Raises:
        InputError: A notebook refused its parameters.
        BuildError: A notebook failed; the message names the cell and the error.
    """
    library = library_digest()
    stale = []
    for one in executions:
        key = _key(one, library)
        if _stored_key(one.output) == key:
            progress(f"{one.chapter.slug}: unchanged")
        else:
            stale.append((one, key))
    if not stale:
        return

    failures: list[Exception] = []
    with _kernels() as scratch, ThreadPoolExecutor(WORKERS) as workers:
        running = {}
        for one, key in stale:
            progress(f"{one.chapter.slug}: running")
            running[workers.submit(_execute_one, one, key, scratch)] = one.chapter.slug
        for finished in as_completed(running):
            slug = running[finished]
            try:
                progress(f"{slug}: {finished.result():.0f} s")
            except InputError as error:
                failures.append(InputError(f"{slug}: {error}"))
            except Exception as error:
                failures.append(BuildError(f"{slug}: {error}"))
    if failures:
        refused = [error for error in failures if isinstance(error, InputError)]
        kind = InputError if refused else BuildError
        raise kind("; ".join(str(error) for error in refused or failures))


def stage(executions: Sequence[Execution], folder: Path) -> None:
    """Put the book's pages, its appendices and the executed notebooks in one folder.

    Args:
        executions: Chapters that have been executed.
        folder: Folder to make or replace.
    """
    from llmecon.publishing import appendices, results

    with files.replacing(folder) as new:
        ignored = shutil.ignore_patterns("_build", "__pycache__", "parameters")
        shutil.copytree(paths.BOOK, new, ignore=ignored, dirs_exist_ok=True)
        (new / "chapters").mkdir(exist_ok=True)
        for one in executions:
            shutil.copy(one.output, new / "chapters" / f"{one.chapter.slug}.ipynb")
        chapters = [(one.chapter.slug, one.output) for one in executions]
        results.write_table(chapters, new / "results.json")
        appendices.write(new)


def make_site(staged: Path, site: Path, strict: bool = True) -> None:
    """Run Jupyter Book on a staged book.

    Args:
        staged: The folder that `stage` made.
        site: An existing, empty folder that receives the pages.
        strict: Warnings are errors.

    Raises:
        BuildError: Jupyter Book failed; the message holds its warnings.
    """
    log = paths.BUILD / "logs" / "site.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="llmecon-") as scratch:
        command = [sys.executable, "-c", _JUPYTER_BOOK, "build", str(staged.resolve())]
        command += ["--config", str(paths.CONFIG), "--path-output", scratch, "--keep-going"]
        command += ["-W"] if strict else []
        with log.open("w", encoding="utf-8") as output:
            # Local extensions are found relative to the configuration's folder.
            done = subprocess.run(
                command, cwd=paths.ROOT, stdout=output, stderr=subprocess.STDOUT, check=False
            )
        built = Path(scratch) / "_build" / "html"
        if done.returncode or not built.is_dir():
            text = _without_colours(log.read_text(encoding="utf-8"))
            complaints = re.findall(r"^.*(?:WARNING|ERROR|Error:).*$", text, re.MULTILINE)
            shown = "\n  ".join(complaints[:20] or text.splitlines()[-5:])
            raise BuildError(f"the site can't be built; log: {log}\n  {shown}")
        shutil.copytree(built, site, dirs_exist_ok=True)


def library_digest() -> str:
    """Digest of what every chapter depends on: the library, its data and its dependencies."""
    library = files.tree_digest(paths.LIBRARY, pattern="*.py")
    return files.digest([library, files.tree_digest(paths.DATA, paths.LOCK), sys.version])


def _key(one: Execution, library: str) -> str:
    values = json.dumps(dict(one.values), sort_keys=True)
    return files.digest([library, values, one.chapter.notebook.read_bytes()])


def _stored_key(notebook: Path) -> str | None:
    """The key that an executed notebook was made from; None where there is no such notebook."""
    if not notebook.is_file():
        return None
    metadata = json.loads(notebook.read_text(encoding="utf-8"))["metadata"]
    key: str | None = metadata.get("llmecon", {}).get("key")
    return key


@contextmanager
def _kernels() -> Iterator[Path]:
    """Let "python3" mean this interpreter, on one thread, without anyone's personal settings.

    Yields:
        A scratch folder, which lasts as long as the block.
    """
    from ipykernel.kernelspec import write_kernel_spec

    before = os.environ.get("JUPYTER_PATH")
    with tempfile.TemporaryDirectory(prefix="llmecon-") as scratch:
        environment = compiling.environment() | {
            "IPYTHONDIR": f"{scratch}/ipython",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        }
        write_kernel_spec(
            Path(scratch) / "kernels" / "python3",
            overrides={"env": environment},
            extra_arguments=["--log-level=CRITICAL"],
        )
        os.environ["JUPYTER_PATH"] = scratch
        try:
            yield Path(scratch)
        finally:
            del os.environ["JUPYTER_PATH"]
            if before is not None:
                os.environ["JUPYTER_PATH"] = before


def _execute_one(one: Execution, key: str, scratch: Path) -> float:
    """Execute one notebook in a kernel of its own; return the seconds it took."""
    import nbformat
    import papermill
    from papermill.exceptions import PapermillExecutionError

    started = time.monotonic()
    draft = scratch / one.output.name
    changed = {
        parameter.name: one.values[parameter.name]
        for parameter in one.chapter.parameters
        if one.values[parameter.name] != parameter.default
    }
    try:
        papermill.execute_notebook(
            str(one.chapter.notebook),
            str(draft),
            parameters=changed,
            kernel_name="python3",
            progress_bar=False,
            request_save_on_cell_execute=False,
        )
    except PapermillExecutionError as error:
        if error.ename == InputError.__name__:
            raise InputError(error.evalue) from None
        log = paths.BUILD / "logs" / f"{one.chapter.slug}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(_without_colours("\n".join(error.traceback)), encoding="utf-8")
        last = (error.evalue.strip().splitlines() or [""])[-1]
        raise BuildError(f"cell {error.exec_count}: {error.ename}: {last}; log: {log}") from None

    executed = nbformat.read(draft, as_version=4)
    # papermill records absolute paths and times, which don't belong in a published notebook.
    executed.metadata.pop("papermill", None)
    for cell in executed.cells:
        cell.metadata.pop("papermill", None)
    executed.metadata["llmecon"] = {"key": key}
    nbformat.write(executed, draft)
    one.output.parent.mkdir(parents=True, exist_ok=True)
    aside = shutil.copy(draft, f"{one.output}.new")
    os.replace(aside, one.output)
    return time.monotonic() - started


def _without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
