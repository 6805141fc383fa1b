"""Files and folders that appear whole or not at all."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from llmecon import inputs, paths
from llmecon.errors import InputError

_STAMP = ".llmecon-key"


def digest(parts: Iterable[str | bytes]) -> str:
    """SHA-256 of a sequence of texts, which tells `ab, c` from `a, bc`."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part.encode() if isinstance(part, str) else part).digest())
    return whole.hexdigest()


def tree_digest(*roots: Path, pattern: str = "*") -> str:
    """SHA-256 of the names and contents of the files below some folders, or of files.

    Args:
        roots: Folders or files; what is missing counts as empty.
        pattern: Which files of a folder count. Generated ones (`_build`, byte code) never do.
    """
    parts: list[str | bytes] = []
    for root in roots:
        for file in [root] if root.is_file() else sorted(root.rglob(pattern)):
            inside = file.relative_to(root)
            if file.is_file() and not {"_build", "__pycache__"} & set(inside.parts):
                parts += [inside.as_posix(), file.read_bytes()]
    return digest(parts)


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `folder` if the block succeeds.

    Args:
        folder: The folder to make or replace; left as it was if the block fails.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        new = scratch / "new"
        new.mkdir()
        yield new
        if folder.exists():
            folder.rename(scratch / "old")
        new.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def writing(file: Path, force: bool) -> Iterator[Path]:
    """Yield a path beside `file` that takes its place if the block succeeds.

    Args:
        file: The file to make; left as it was if the block fails.
        force: Whether it may replace one that is there.

    Raises:
        InputError: It can't be written, or is there already.
    """
    aside = file.parent / f".llmecon-{os.getpid()}.new"
    try:
        if file.is_dir():
            raise InputError(f"{file}: is a folder; name a file with -o")
        if file.exists() and not force:
            raise InputError(f"{file}: exists; name another file, or replace it with --force")
        if not file.parent.exists():
            raise InputError(f"there is no folder {inputs.shown(str(file.parent))} to write to")
        with aside.open("x"):
            pass
    except (OSError, ValueError) as error:
        raise _unwritable(file, error) from None
    try:
        yield aside
        try:
            aside.replace(file)
        except OSError as error:
            raise _unwritable(file, error) from None
    finally:
        aside.unlink(missing_ok=True)


def _unwritable(file: Path, error: Exception) -> InputError:
    if isinstance(error, InputError):
        return error
    reason = getattr(error, "strerror", None) or str(error)
    return InputError(f"{inputs.shown(str(file))}: can't write there ({reason}); name another file")


def log(name: str) -> Path:
    """Where to write a log: below what is built, or where that is read-only a temporary folder.

    Args:
        name: The log's name without its ending.
    """
    for folder in (paths.BUILD / "logs", Path(tempfile.gettempdir()) / "llmecon-logs"):
        file = folder / f"{name}.log"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with file.open("a", encoding="utf-8"):
                return file
        except OSError:
            continue
    return Path(os.devnull)


def stamp(folder: Path, key: str) -> None:
    """Record what a generated folder was made from, and thereby that it was generated."""
    (folder / _STAMP).write_text(key, encoding="utf-8")


def stamped(folder: Path) -> str | None:
    """What a generated folder was made from; None if it isn't one."""
    file = folder / _STAMP
    return file.read_text(encoding="utf-8") if file.is_file() else None


def require_replaceable(folder: Path) -> None:
    """Refuse to overwrite what this tool didn't make.

    Raises:
        InputError: `folder` is a file, or holds something other than an earlier output.
    """
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() and stamped(folder) is None:
        raise InputError(f"{folder}: exists and holds other things; name a new or empty folder")
