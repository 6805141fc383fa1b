"""What keeps a submission from the rest of the machine, of what this machine offers."""

import os
import shutil
import site
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from llmecon import paths
from llmecon.assignments import landlock, seccomp
from llmecon.errors import InputError


@dataclass(frozen=True)
class Isolation:
    """How submissions are kept apart.

    Args:
        landlock: Whether Landlock keeps files off.
        seccomp: Whether a filter of system calls keeps off network, processes and the permissions
            of files, which Landlock doesn't ask about.
        bubblewrap: Path of `bwrap`, which does all of that by namespaces; None where it isn't used.
    """

    landlock: bool = False
    seccomp: bool = False
    bubblewrap: str | None = None

    @property
    def files(self) -> bool:
        """Whether a submission reads and changes only what it may."""
        return (self.landlock and self.seccomp) or self.bubblewrap is not None

    @property
    def network(self) -> bool:
        """Whether a submission has no network, and neither reaches nor leaves other processes."""
        return self.seccomp or self.bubblewrap is not None

    def lines(self) -> list[str]:
        """What is isolated by what, and what isn't, one line each."""
        what = {
            "files": (self.files, "Landlock" if self.landlock and self.seccomp else "bubblewrap"),
            "network and other processes": (
                self.network,
                "seccomp" if self.seccomp else "bubblewrap",
            ),
        }
        kept = [f"{name} by {by}" for name, (yes, by) in what.items() if yes]
        lines = [f"isolated: {', '.join([*kept, 'memory, disk and time by limits'])}"]
        if exposed := [name for name, (yes, _) in what.items() if not yes]:
            lines.append(f"NOT isolated: {', '.join(exposed)}; submissions can reach them")
        return lines


@cache
def available() -> Isolation:
    """The isolation that this machine offers."""
    kernel, filtered = landlock.version() > 0, seccomp.available()
    return Isolation(kernel, filtered, None if kernel and filtered else _bubblewrap())


def required(trust: bool) -> Isolation:
    """The isolation to grade with.

    Args:
        trust: whether submissions may reach this machine's files where nothing keeps them off.

    Raises:
        InputError: nothing does, and they aren't trusted; or this is Windows.
    """
    if sys.platform == "win32":
        raise InputError("grading takes Linux or macOS: on Windows, run it in WSL")
    found = available()
    if not found.files and not trust:
        raise InputError(
            "nothing here keeps a submission from your files: grade on Linux 5.13 or later (its "
            "Landlock), or install bubblewrap; --trust runs submissions all the same"
        )
    return found


def _bubblewrap() -> str | None:
    """Where `bwrap` is, if it works: some systems don't let it make namespaces."""
    program = shutil.which("bwrap")
    if program is None:
        return None
    tried = [program, "--unshare-all", "--ro-bind", "/", "/", "true"]
    try:
        done = subprocess.run(tried, capture_output=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return program if done.returncode == 0 else None


def readable() -> tuple[Path, ...]:
    """What a submission may read: Python, its packages, the library with its tables, the system."""
    # The file by which the library knows that it runs in a checkout is among them.
    own = [paths.LIBRARY, paths.DATA, paths.NOTEBOOKS, paths.KEPT, paths.ROOT / "pyproject.toml"]
    python = [sys.prefix, sys.base_prefix, sys.exec_prefix, *site.getsitepackages()]
    if site.ENABLE_USER_SITE:
        python.append(site.getusersitepackages())
    system = ["/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/dev/null"]
    system += ["/dev/urandom", "/dev/zero", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat"]
    system += ["/sys/devices/system/cpu"]
    found = [of.resolve() for of in (*own, *map(Path, [*python, *system]))]
    return tuple(dict.fromkeys(of for of in found if of.exists()))


def require_hidden(*folders: Path) -> None:
    """Refuse folders that submissions could read.

    Args:
        folders: that hold keys or submissions.

    Raises:
        InputError: one lies in what they may read.
    """
    for folder in folders:
        for place in readable():
            if folder.resolve().is_relative_to(place):
                raise InputError(
                    f"{folder}: lies in {place}, which submissions may read: move it elsewhere"
                )


def command(isolation: Isolation, scratch: Path, inside: Sequence[str]) -> list[str]:
    """The command that runs another in isolation, as far as a program does it.

    Args:
        isolation: how; Landlock and seccomp are applied by the process itself.
        scratch: the folder that may be written.
        inside: the command to run.
    """
    if isolation.bubblewrap is None:
        return [*inside]
    made = [isolation.bubblewrap, "--unshare-all", "--die-with-parent", "--new-session"]
    made += ["--cap-drop", "ALL", "--proc", "/proc", "--dev", "/dev"]
    for place in readable():
        if not place.is_relative_to("/proc") and not place.is_relative_to("/dev"):
            made += ["--ro-bind", str(place), str(place)]
    for link in ("/lib", "/lib64"):
        if os.path.islink(link):
            made += ["--symlink", os.readlink(link), link]
    return [*made, "--bind", str(scratch), str(scratch), "--chdir", str(scratch), *inside]
