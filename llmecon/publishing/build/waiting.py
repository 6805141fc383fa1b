"""How long a chapter will still take, by how long it took before."""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from tempfile import NamedTemporaryFile

from llmecon import paths, words

_FILE = "seconds.json"


def took(chapter: str, seconds: float) -> None:
    """Remember how long a chapter took.

    Args:
        chapter: its slug.
        seconds: from its start to its end.
    """
    content = json.dumps(_known() | {chapter: round(seconds, 1)})
    # Where nothing can be kept, the next wait is told less well, and that is all.
    with suppress(OSError):
        paths.KEPT.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=paths.KEPT, suffix=".new", delete=False) as new:
            new.write(content)
        os.replace(new.name, paths.KEPT / _FILE)


def left(chapter: str, elapsed: float, share: float) -> str:
    """How long a running chapter will still take, in words.

    Args:
        chapter: its slug.
        elapsed: since it started, s.
        share: of its cells that are done, by which an unknown chapter is judged; above 0.

    Returns:
        Such as `about 20 s left`.
    """
    whole = _known().get(chapter, elapsed / share)
    return f"about {words.duration(max(whole - elapsed, 1.0))} left"


def rest(chapters: Iterable[str], workers: int) -> str:
    """How long several chapters will take, in words; empty where one of them never ran.

    Args:
        chapters: their slugs.
        workers: how many run at a time.
    """
    seconds = [_known().get(chapter) for chapter in chapters]
    known = [of for of in seconds if of is not None]
    if not known or len(known) < len(seconds):
        return ""
    return f"about {words.duration(max(sum(known) / workers, *known))} for the rest"


def _known() -> dict[str, float]:
    with suppress(OSError, ValueError):
        found: dict[str, float] = json.loads((paths.KEPT / _FILE).read_text(encoding="utf-8"))
        return found
    return {}
