"""Notebooks -> executed notebooks (papermill) -> staged book -> site (Jupyter Book).

Each step skips what was already made from the same inputs, and puts its result in place only when
it is whole.
"""

import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmecon import paths
from llmecon.errors import InputError
from llmecon.execution import compiling
from llmecon.publishing import scenario
from llmecon.publishing.build import dependencies, files, waiting
from llmecon.studies.parameters import Value

WORKERS = 2  # each waits for a kernel, which is a process of its own

_SILENCE = 30.0  # seconds after which a running chapter is heard of again

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
    values: Mapping[str, Value]
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

    # Beside the chapters the site shows the tables, the library's docstrings and its own pages.
    shown = (paths.BOOK, paths.CONFIG, paths.ROOT / "CITATION.cff", paths.DATA, paths.LOCK)
    pages = [files.tree_digest(*shown), files.tree_digest(paths.LIBRARY, pattern="*.py")]
    key = files.digest([*pages, *(one.output.read_bytes() for one in executions)])
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
    stale = [one for one in executions if not is_current(one)]
    for one in executions:
        if one not in stale:
            progress(f"{one.chapter.slug}: unchanged")
    if not stale:
        return

    for one in stale[WORKERS:]:
        progress(f"{one.chapter.slug}: waiting")
    remaining = {one.chapter.slug for one in stale}
    failures: list[Exception] = []
    kernels = _Running()
    with _kernels() as scratch, ThreadPoolExecutor(WORKERS) as workers:
        running = {
            workers.submit(_execute_one, one, scratch, kernels, progress): one.chapter.slug
            for one in stale
        }
        try:
            for finished in as_completed(running):
                slug = running[finished]
                try:
                    seconds = finished.result()
                    waiting.took(slug, seconds)
                    remaining.remove(slug)
                    told = [f"{slug}: {seconds:.0f} s", waiting.rest(remaining, WORKERS)]
                    progress("; ".join(filter(None, told)))
                except InputError as error:
                    failures.append(InputError(f"{slug}: {error}"))
                except Exception as error:
                    failures.append(BuildError(f"{slug}: {error}"))
        except BaseException:
            logging.disable(logging.CRITICAL)  # the kernels' clients would tell of the loss
            kernels.stop()
            workers.shutdown(cancel_futures=True)
            logging.disable(logging.NOTSET)
            raise
    if failures:
        refused = [error for error in failures if isinstance(error, InputError)]
        kind = InputError if refused else BuildError
        raise kind("; ".join(str(error) for error in refused or failures))


def stage(executions: Sequence[Execution], folder: Path, appended: bool = True) -> None:
    """Put the book's pages, its appendices and the executed notebooks in one folder.

    Args:
        executions: Chapters that have been executed.
        folder: Folder to make or replace.
        appended: Whether pages of tables and modules are wanted, which take a second to write.
    """
    from llmecon.publishing.build import appendices
    from llmecon.publishing.prose import stored

    with files.replacing(folder) as new:
        ignored = shutil.ignore_patterns("_build", "__pycache__", "parameters")
        shutil.copytree(paths.BOOK, new, ignore=ignored, dirs_exist_ok=True)
        (new / "chapters").mkdir(exist_ok=True)
        for one in executions:
            shutil.copy(one.output, new / "chapters" / f"{one.chapter.slug}.ipynb")
        chapters = [(one.chapter.slug, one.output) for one in executions]
        stored.write_table(chapters, new / "results.json")
        if appended:
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
    log = files.log("site")
    with tempfile.TemporaryDirectory(prefix="llmecon-") as scratch:
        command = [sys.executable, "-c", _JUPYTER_BOOK, "build", str(staged.resolve())]
        command += ["--config", str(paths.CONFIG), "--path-output", scratch, "--keep-going"]
        command += ["-W"] if strict else []
        with log.open("w", encoding="utf-8") as output:
            # Local extensions are found relative to the configuration's folder.
            # A session of its own, so that all of it can be ended.
            process = subprocess.Popen(
                command,
                cwd=paths.ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                status = process.wait()
            except BaseException:
                _end(process.pid)
                process.wait()
                raise
        built = Path(scratch) / "_build" / "html"
        if status or not built.is_dir():
            text = _without_colours(log.read_text(encoding="utf-8"))
            complaints = re.findall(r"^.*(?:WARNING|ERROR|Error:).*$", text, re.MULTILINE)
            shown = "\n  ".join(complaints[:20] or text.splitlines()[-5:])
            raise BuildError(f"the site can't be built; log: {log}\n  {shown}")
        shutil.copytree(built, site, dirs_exist_ok=True)


def is_current(one: Execution) -> bool:
    """Whether a chapter was executed with these values and nothing that it rests on has changed.

    Args:
        one: the chapter, its values, and where it was executed to.
    """
    if not one.output.is_file():
        return False
    metadata = json.loads(one.output.read_text(encoding="utf-8"))["metadata"]
    made: Mapping[str, Any] = metadata.get("llmecon", {})
    return made.get("key") == _key(one, made.get("rests_on", ()))


def _key(one: Execution, rests_on: Sequence[str]) -> str:
    """A digest of a chapter's values, its environment and all that it rests on."""
    named = [one.values[of.name] for of in one.chapter.parameters if of.file]
    contents = [Path(str(file)).read_text(encoding="utf-8") if file else "" for file in named]
    values = json.dumps([dict(one.values), contents], sort_keys=True)
    notebook = one.chapter.notebook.read_bytes()
    environment = (sys.version, files.tree_digest(paths.LOCK))
    return files.digest([values, notebook, *environment, dependencies.digest(rests_on)])


@contextmanager
def _kernels() -> Iterator[Path]:
    """Let "python3" mean this interpreter, on one thread, without anyone's personal settings.

    Yields:
        A scratch folder, which lasts as long as the block.
    """
    from ipykernel.kernelspec import write_kernel_spec

    # Kernels are found, and leave the files by which they are reached, in the scratch folder.
    places = ("JUPYTER_PATH", "JUPYTER_RUNTIME_DIR")
    before = {name: os.environ.get(name) for name in places}
    with tempfile.TemporaryDirectory(prefix="llmecon-") as scratch:
        environment = compiling.environment() | {
            "IPYTHONDIR": f"{scratch}/ipython",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        }
        write_kernel_spec(
            Path(scratch) / "kernels" / "python3",
            overrides={"env": environment},
            extra_arguments=[
                "--log-level=CRITICAL",
                f"--IPKernelApp.exec_lines={dependencies.WATCH}",
            ],
        )
        os.environ |= dict.fromkeys(places, scratch)
        try:
            yield Path(scratch)
        finally:
            for name, value in before.items():
                del os.environ[name]
                if value is not None:
                    os.environ[name] = value


class _Running:
    """The kernels that run, which can be ended at once."""

    def __init__(self) -> None:
        self.stopped = False
        self._started: list[Any] = []
        self._lock = threading.Lock()

    def manager(self) -> type:
        """A class of kernel managers, for a notebook's client, whose kernels these are."""
        from jupyter_client.manager import AsyncKernelManager

        started = self._add

        class Manager(AsyncKernelManager):
            async def start_kernel(self, **given: Any) -> None:  # type: ignore[override]
                await super().start_kernel(**given)
                started(self.provisioner)

        return Manager

    def stop(self) -> None:
        """End all kernels, and those that start from now on."""
        with self._lock:
            self.stopped = True
            for provisioner in self._started:
                self._kill(provisioner)

    def _add(self, provisioner: Any) -> None:
        with self._lock:
            self._started.append(provisioner)
            if self.stopped:
                self._kill(provisioner)

    @staticmethod
    def _kill(provisioner: Any) -> None:
        # The number of a kernel that has ended may be another process's by now.
        process = provisioner.process
        if process is not None and process.poll() is None:
            _end(process.pid)


def _end(session: int) -> None:
    """End a process that leads a session, and all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(session, signal.SIGKILL)


def _execute_one(one: Execution, scratch: Path, kernels: _Running, progress: Progress) -> float:
    """Execute one notebook in a kernel of its own; return the seconds it took."""
    import nbformat
    import papermill
    from papermill.exceptions import PapermillExecutionError

    slug = one.chapter.slug
    progress(f"{slug}: running")
    started = heard = time.monotonic()
    draft = scratch / one.output.name
    changed = {
        parameter.name: one.values[parameter.name]
        for parameter in one.chapter.parameters
        if one.values[parameter.name] != parameter.default
    }
    notebook = nbformat.read(one.chapter.notebook, as_version=4)
    cells = len(notebook.cells)
    notebook.cells.append(nbformat.v4.new_code_cell(dependencies.TELL))
    asked = scratch / "asked" / one.output.name
    asked.parent.mkdir(exist_ok=True)
    nbformat.write(notebook, asked)

    def told(cell_index: int, **_: Any) -> None:
        nonlocal heard
        if time.monotonic() - heard > _SILENCE and not kernels.stopped:
            heard = time.monotonic()
            at = min(cell_index + 1, cells)
            left = waiting.left(slug, heard - started, at / cells)
            progress(f"{slug}: cell {at} of {cells}, {left}")

    try:
        papermill.execute_notebook(
            str(asked),
            str(draft),
            parameters=changed,
            kernel_name="python3",
            progress_bar=False,
            request_save_on_cell_execute=False,
            kernel_manager_class=kernels.manager(),
            on_cell_start=told,
        )
    except PapermillExecutionError as error:
        if error.ename == InputError.__name__:
            raise InputError(error.evalue) from None
        log = files.log(slug)
        log.write_text(_without_colours("\n".join(error.traceback)), encoding="utf-8")
        last = (error.evalue.strip().splitlines() or [""])[-1]
        raise BuildError(f"cell {error.exec_count}: {error.ename}: {last}; log: {log}") from None

    executed = nbformat.read(draft, as_version=4)
    # papermill records absolute paths and times, which don't belong in a published notebook.
    executed.metadata.pop("papermill", None)
    for cell in executed.cells:
        cell.metadata.pop("papermill", None)
    rests_on = executed.cells.pop().outputs[0].text.split()
    executed.metadata["llmecon"] = {"key": _key(one, rests_on), "rests_on": rests_on}
    nbformat.write(executed, draft)
    one.output.parent.mkdir(parents=True, exist_ok=True)
    aside = shutil.copy(draft, f"{one.output}.new")
    os.replace(aside, one.output)
    return time.monotonic() - started


def _without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
