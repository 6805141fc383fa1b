"""Where each way is cheapest, by how much is asked and how fast facts change."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Float

from llmecon.numerics import crossings
from llmecon.specs import SECONDS_PER_MONTH
from llmecon.studies.rag_vs_ft.model import WAYS
from llmecon.studies.rag_vs_ft.study import Study, bills_of_many

Numbers = Float[np.ndarray, "..."]
Point = tuple[float, float]

ACROSS = np.linspace(2.0, 10.0, 33)  # logarithms of questions a month
UP = np.linspace(-3.0, 3.0, 25)  # logarithms of changes of a fact a month
DEARER = (0.1, 1.0, 10.0)  # what a wrong answer may cost, over what it does
NARROW = 1e-7  # of a border's place, as a share of the way between two points
_FAR = 0.6  # points of a border further apart, on the logarithms, are of different lines


@dataclass(frozen=True)
class Map:
    """The cheapest way at every point, and the lines on which two ways cost the same.

    Attributes:
        points: columns x [questions a month], y [changes of a fact a month] and way.
        borders: columns x, y and line; empty where one way is cheapest everywhere.
        shares: of the map, by way, the largest first.
    """

    points: pd.DataFrame
    borders: pd.DataFrame
    shares: pd.Series


def cheapest(study: Study) -> Map:
    """The cheapest way at every point of the map, each point with knobs of its own."""
    ways = study.case.ways
    x, y = (axis.ravel() for axis in np.meshgrid(ACROSS, UP))
    surfaces = np.stack([_logs(study, way, x, y) for way in ways])
    best = surfaces.argmin(axis=0)
    points = pd.DataFrame({"x": 10.0**x, "y": 10.0**y, "way": [ways[k] for k in best]})
    lines = pd.DataFrame(
        [
            {"x": 10.0**x, "y": 10.0**y, "line": f"{pair} {k}"}
            for pair, found in _borders(study, best.reshape(len(UP), len(ACROSS))).items()
            for k, piece in enumerate(_strung(found))
            for x, y in piece
        ]
    )
    return Map(points, lines, points["way"].value_counts(normalize=True))


def _logs(study: Study, way: str, x: Numbers, y: Numbers, wrong: Numbers | None = None) -> Numbers:
    """Logarithm of what a way costs where so much is asked and facts change so fast."""
    asked = replace(
        study.case.asked,
        queries=10.0**x / SECONDS_PER_MONTH,
        change=10.0**y / SECONDS_PER_MONTH,
        wrong=study.case.asked.wrong if wrong is None else wrong,
    )
    found = bills_of_many(way, replace(study.case, asked=asked))
    return np.log(np.asarray(found.usd))


def _borders(study: Study, best: Numbers) -> dict[tuple[int, int], list[Point]]:
    """Points between neighbours of which different ways are best, by the two ways."""
    steps = [(here, there) for here, there in _neighbours(best.shape) if best[here] != best[there]]
    if not steps:
        return {}
    start, stop = (
        np.array([(ACROSS[j], UP[i]) for i, j in side]) for side in zip(*steps, strict=True)
    )
    pairs = np.sort([(best[here], best[there]) for here, there in steps], axis=1)

    def difference(share: Numbers) -> Numbers:
        """How much dearer the first of each pair is at that share of the way between neighbours."""
        x, y = (start + share[:, None] * (stop - start)).T
        costs = np.empty(pairs.shape)
        for k in np.unique(pairs):
            rows = (pairs == k).any(axis=1)
            found = _logs(study, study.case.ways[k], x[rows], y[rows])
            costs[rows] = np.where(pairs[rows] == k, found[:, None], costs[rows])
        return costs[:, 0] - costs[:, 1]

    shares = crossings(difference, np.zeros(len(steps)), np.ones(len(steps)), NARROW)
    found = start + shares[:, None] * (stop - start)
    borders: dict[tuple[int, int], list[Point]] = {}
    for (low, high), (x, y) in zip(pairs.tolist(), found.tolist(), strict=True):
        if math.isfinite(x):  # where a third way comes between, the two don't cross
            borders.setdefault((low, high), []).append((x, y))
    return borders


def _neighbours(shape: tuple[int, ...]) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    for i, j in np.ndindex(shape):
        if j + 1 < shape[1]:
            yield (i, j), (i, j + 1)
        if i + 1 < shape[0]:
            yield (i, j), (i + 1, j)


def _strung(points: list[Point]) -> list[list[Point]]:
    """Points along a line, each next to its nearest, in pieces where they lie far apart."""
    left, pieces = sorted(points), []
    while left:
        piece = [left.pop(0)]
        while left:
            gaps = [math.dist(piece[-1], point) for point in left]
            if min(gaps) > _FAR:
                break
            piece.append(left.pop(int(np.argmin(gaps))))
        pieces.append(piece)
    return pieces


@dataclass(frozen=True)
class Evens:
    """How fast facts must change for retrieval to be as cheap as the best tuned way without it.

    Attributes:
        rival: that way; None where no model can be tuned.
        always: the cheaper of both at the case itself.
        points: columns queries and change [a month], wrong [USD] and times (over what a wrong
            answer costs), of those costs that have more than one break-even.
    """

    rival: str | None
    always: str
    points: pd.DataFrame

    @property
    def rival_name(self) -> str:
        """The best tuned way without retrieval as a reader calls it."""
        return WAYS[self.rival] if self.rival else "tuning"

    @property
    def usual(self) -> pd.DataFrame:
        """The break-even points at what a wrong answer costs."""
        return self.points.query("times == 1.0")


def evens(study: Study) -> Evens:
    """Where retrieval starts to be cheaper than the best way that is tuned without it."""
    rival = next((way for way in study.ranked if way in ("lora", "full")), None)
    columns = ["queries", "change", "wrong", "times"]
    if rival is None:
        return Evens(None, "rag", pd.DataFrame(columns=columns))
    times, x = (
        axis.ravel() for axis in np.meshgrid(DEARER, np.linspace(2.0, 10.0, 9), indexing="ij")
    )
    wrong = study.scenario.wrong_usd * times

    def dearer(y: Numbers) -> Numbers:
        return _logs(study, rival, x, y, wrong) - _logs(study, "rag", x, y, wrong)

    y = crossings(dearer, np.full(len(x), UP[0]), np.full(len(x), UP[-1]), NARROW)
    found = pd.DataFrame(
        np.stack([10.0**x, 10.0**y, wrong, times], axis=1)[np.isfinite(y)], columns=columns
    )
    several = found.groupby("times").filter(lambda of: len(of) > 1)
    return Evens(rival, min("rag", rival, key=study.ranked.index), several)
