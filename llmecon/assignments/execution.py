"""Submissions in processes of their own: the numbers that their cells leave, and how they ended."""

import importlib.util
import json
import math
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from llmecon import paths
from llmecon.assignments import confined, isolation
from llmecon.errors import InputError
from llmecon.execution import compiling

Ended = Literal["complete", "time", "memory", "disk", "stopped", "talk"]
"""Why a submission ended: all cells ran, a limit, its process ended, or it said too much."""

_START = """\
import sys
sys.path[:] = {path!r}
from llmecon.assignments import confined
confined.main()
"""

_MOST_SAID = 1_000_000  # bytes; answers and errors of a long notebook take some ten thousand
_LOOK = 0.2  # seconds between two looks at what a submission takes
_OPEN_FILES = 256


@dataclass(frozen=True)
class Limits:
    """What a submission may take.

    Args:
        seconds: For the whole notebook; a cell gets at most half of it.
        memory: Bytes of address space; JAX and the library take 1.6e9.
        disk: Bytes in its folder.
    """

    seconds: float = 60.0
    memory: float = 4e9
    disk: float = 100e6


@dataclass(frozen=True)
class Outcome:
    """What a submission left.

    Args:
        answers: Values by variable: a finite number, or words on what else it was.
        errors: By the cell's place among the code cells: what it raised.
        ended: Why it ended.
        seconds: How long it took.
    """

    answers: Mapping[str, float | str] = field(default_factory=dict)
    errors: Mapping[int, str] = field(default_factory=dict)
    ended: Ended = "complete"
    seconds: float = 0.0


def execute(
    cells: Sequence[str],
    names: Sequence[str],
    limits: Limits,
    kept_apart: isolation.Isolation,
    stop: threading.Event | None = None,
) -> Outcome:
    """Run the code cells of a submission and collect the answers.

    Args:
        cells: Their sources, in order; one that fails doesn't keep the next from running.
        names: Variables that hold answers.
        limits: What it may take.
        kept_apart: How it is kept from the rest of the machine.
        stop: Ends it when it is set.

    Returns:
        Its answers as they were when it ended, whatever ended it.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="llmecon-", ignore_cleanup_errors=True) as folder:
        scratch = Path(folder).resolve()
        listening, channel = os.pipe()
        with os.fdopen(listening, "rb", buffering=0):
            with os.fdopen(channel, "wb", buffering=0):
                process = _start(scratch, channel, cells, names, limits, kept_apart)
            try:
                said, ended = _listen(process, listening, scratch, started, limits, stop)
            finally:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    answers, errors, complete = _understood(said, names, len(cells))
    if ended == "stopped" and complete:
        ended = "complete"
    return Outcome(answers, errors, ended, time.monotonic() - started)


def require_working(kept_apart: isolation.Isolation) -> None:
    """Refuse a machine on which not even a notebook of one line runs.

    Args:
        kept_apart: How it would be kept from the rest of the machine.

    Raises:
        InputError: It doesn't run.
        ModuleNotFoundError: What runs cells isn't installed.
    """
    if importlib.util.find_spec("IPython") is None:
        raise ModuleNotFoundError("no IPython", name="IPython")
    found = execute(["tried = 1"], ["tried"], Limits(), kept_apart)
    if found.answers != {"tried": 1.0}:
        raise InputError(
            "Python itself doesn't run in isolation here: install it, with llmecon, where it lies "
            f"in one folder, such as a virtual environment of {sys.base_prefix}"
        )


def _start(
    scratch: Path,
    channel: int,
    cells: Sequence[str],
    names: Sequence[str],
    limits: Limits,
    kept_apart: isolation.Isolation,
) -> subprocess.Popen[bytes]:
    job = {
        "cells": list(cells),
        "names": list(names),
        "seconds": limits.seconds / 2,
        "memory": int(limits.memory),
        "disk": int(limits.disk),
        "files": _OPEN_FILES,
        "channel": channel,
        "readable": [str(of) for of in isolation.readable()],
        "landlock": kept_apart.landlock,
        "seccomp": kept_apart.seccomp,
    }
    # The library first, since this process may have it from a folder that only its user names.
    path = [str(paths.LIBRARY.parent), *(of for of in sys.path if of and Path(of).is_absolute())]
    python = [sys.executable, "-I", "-c", _START.format(path=[*dict.fromkeys(path)])]
    # Nothing of this user's own settings and secrets goes along.
    environment = compiling.environment() | {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "IPYTHONDIR": str(scratch),
        "XDG_CACHE_HOME": str(paths.KEPT.resolve().parent),
    }
    with tempfile.TemporaryFile() as written:
        written.write(json.dumps(job).encode())
        written.seek(0)
        return subprocess.Popen(
            isolation.command(kept_apart, scratch, python),
            stdin=written,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(channel,),
            cwd=scratch,
            env=environment,
            start_new_session=True,
        )


def _listen(
    process: subprocess.Popen[bytes],
    listening: int,
    scratch: Path,
    started: float,
    limits: Limits,
    stop: threading.Event | None,
) -> tuple[bytes, Ended]:
    """What a process says until it ends, or until it has taken more than it may."""
    said = bytearray()
    looked = started
    while True:
        now = time.monotonic()
        if now - started > limits.seconds:
            return bytes(said), "time"
        if stop and stop.is_set():
            return bytes(said), "stopped"
        if now - looked > _LOOK:
            looked = now
            if _resident(process.pid) > limits.memory:
                return bytes(said), "memory"
            if _size(scratch) > limits.disk:
                return bytes(said), "disk"
        if select.select([listening], [], [], _LOOK)[0]:
            heard = os.read(listening, 65536)
            if not heard:
                return bytes(said), "stopped"
            said += heard
            if len(said) > _MOST_SAID:
                return bytes(said), "talk"
        elif process.poll() is not None:
            return bytes(said), "stopped"


def _resident(process: int) -> int:
    """Bytes of memory that a process holds; 0 where that isn't known."""
    with suppress(OSError, ValueError, IndexError):
        pages = Path(f"/proc/{process}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _size(folder: Path) -> int:
    """Bytes that a folder's files take."""
    total, waiting = 0, [str(folder)]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
    return total


def _understood(
    said: bytes, names: Sequence[str], cells: int
) -> tuple[dict[str, float | str], dict[int, str], bool]:
    """Answers, errors and whether all cells ran, of lines that anybody may have written."""
    answers: dict[str, float | str] = {}
    errors: dict[int, str] = {}
    complete = False
    for line in said.splitlines():
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if not isinstance(message, dict):
            continue
        if isinstance(told := message.get("answers"), dict):
            answers = {of: _answer(told[of]) for of in names if of in told}
        place = message.get("cell")
        if isinstance(place, int) and 0 <= place < cells:
            errors[place] = str(message.get("error"))[: confined.MOST_CHARACTERS]
        complete = complete or message.get("ended") is True
    return answers, errors, complete


def _answer(told: Any) -> float | str:
    if isinstance(told, int | float) and not isinstance(told, bool):
        with suppress(OverflowError):
            if math.isfinite(found := float(told)):
                return found
        return "a number that isn't finite"
    words = told.get("not") if isinstance(told, dict) else None
    return words[: confined.MOST_CHARACTERS] if isinstance(words, str) else "no number"
