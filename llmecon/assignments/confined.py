"""Inside: the cells of a submission, one after the other, in a process that can't reach out.

The process first gives up all that it won't need, then runs what a stranger wrote. So nothing that
it says is believed but numbers: the answers, which are judged by the process that started this one.
"""

import ctypes
import json
import math
import os
import signal
import sys
import types
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from llmecon.assignments import landlock, seccomp

MOST_CHARACTERS = 300
"""Of what is told about an error, or about an answer that is no number."""

_DIE_WITH_PARENT = 1  # prctl
_CAPABILITIES = 0x20080522  # version 3 of their record


def main() -> None:
    """Read a job from standard input, confine this process, and run the job's cells."""
    job = json.load(sys.stdin)
    _confine(job)
    with os.fdopen(job["channel"], "wb", buffering=0) as channel:
        _run(job["cells"], job["names"], job["seconds"], channel)
    os._exit(0)  # whatever threads and exit handlers the cells have left


def _confine(job: Mapping[str, Any]) -> None:
    """Give up what the cells have no use for, before anything starts a thread."""
    import resource

    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    limits = {
        resource.RLIMIT_AS: job["memory"],
        resource.RLIMIT_FSIZE: job["disk"],
        resource.RLIMIT_NOFILE: job["files"],
        resource.RLIMIT_CORE: 0,
    }
    for what, most in limits.items():
        with suppress(ValueError, OSError):  # a system that doesn't know the limit, or has less
            resource.setrlimit(what, (most, most))
    if job["landlock"]:
        landlock.confine([Path(of) for of in job["readable"]], [Path.cwd()])
    if sys.platform.startswith("linux") and os.geteuid() == 0:
        _drop_capabilities()
    if job["seccomp"]:
        seccomp.confine()


def _drop_capabilities() -> None:
    """Leave root nothing that another user can't do."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES, 0)
    library = ctypes.CDLL(None, use_errno=True)
    if library.capset(ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)())):
        raise OSError(ctypes.get_errno(), "capset")


class _TooLongError(Exception):
    """A cell took more than its share of the time."""


def _run(cells: Sequence[str], names: Sequence[str], seconds: float, channel: Any) -> None:
    """Run cells whatever becomes of those before; tell errors, and the answers after each cell."""
    _stand_in()
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    quiet = Config(
        {"HistoryManager": {"enabled": False}, "InteractiveShell": {"colors": "nocolor"}}
    )
    shell = InteractiveShell.instance(config=quiet)
    told: dict[str, Any] = {}
    for place, source in enumerate(cells):
        error = None
        try:
            _alarm(seconds)
            result = shell.run_cell(source, store_history=False)
            found = result.error_before_exec or result.error_in_exec
            error = _words(found) if found else None
            answers = {of: _plain(shell.user_ns[of]) for of in names if of in shell.user_ns}
        except BaseException as raised:  # of the alarm, or of an answer's own methods
            error, answers = _words(raised), told
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if error:
            _tell(channel, {"cell": place, "error": error})
        if answers != told:
            told = answers
            _tell(channel, {"answers": told})
    _tell(channel, {"ended": True})


def _stand_in() -> None:
    """Let `check` say nothing here: it would take seconds, and isn't what gives points.

    Solutions search for the setting at which an answer turns, so that both searches stay.
    """
    import llmecon
    from llmecon.teaching import turning

    def check(*_: Any, **__: Any) -> None:
        """Nothing; the verdict is found elsewhere."""

    module = types.ModuleType("llmecon.teaching", "Not there while a submission is graded.")
    module.check = check  # type: ignore[attr-defined]
    module.turning_point = turning.turning_point  # type: ignore[attr-defined]
    module.first_of_many = turning.first_of_many  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    llmecon.teaching = module


def _alarm(seconds: float) -> None:
    def stop(*_: Any) -> None:
        raise _TooLongError(f"took more than {seconds:.0f} s, and was stopped")

    signal.signal(signal.SIGALRM, stop)
    # Again and again, for cells that catch it.
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.1)


def _plain(value: Any) -> Any:
    """A number as JSON takes it; anything else as what it is, in words."""
    kind = type(value).__name__
    if hasattr(value, "item") and getattr(value, "size", 0) == 1:  # numpy's and JAX's
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return {"not": f"a value of type {kind}"[:MOST_CHARACTERS]}
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    return found if math.isfinite(found) else {"not": "a number that isn't finite"}


def _words(error: BaseException) -> str:
    kind = "TimeoutError" if isinstance(error, _TooLongError) else type(error).__name__
    try:
        return f"{kind}: {error}"[:MOST_CHARACTERS]
    except BaseException:
        return kind[:MOST_CHARACTERS]


def _tell(channel: Any, said: Mapping[str, Any]) -> None:
    channel.write(json.dumps(said).encode() + b"\n")
