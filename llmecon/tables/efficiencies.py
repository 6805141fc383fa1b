"""Efficiencies of one system, pooled over what it shares with the systems that were measured.

A system is known by its engine, accelerator, model and precision. Some efficiencies differ between
groups of systems (the time to launch a kernel between engines, say): such a group has an effect,
an offset on the parameter's scale that is pulled towards zero the less was measured of the group.
A system outside all measured groups has its parents' values, and wider intervals.

All this is of servers that are tuned as well as the best public benchmarks. How far others lie from
them comes with the system, as effects on `LEVELS` (`evidence.server_levels` finds them).
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
from scipy.special import ndtri

from llmecon.specs import Efficiency

# The group of a kind to which every system belongs that none of the measured groups holds.
UNSEEN = "*"
# Effects on quantities as a whole, and the multiples that carry them.
MULTIPLES: Mapping[str, tuple[str, ...]] = {
    "pace": ("decode_multiple", "prefill_multiple"),
    "first_token": ("first_token_multiple",),
    "power": ("power_multiple",),
}
# What tells how far a server lies from one that is tuned as the best, and what carries it, as
# powers of its factor. A slower server takes longer over decode steps and prompts, and its
# accelerators wait more, at rest. Its TTFT has a level of its own, whatever the pace; work outside
# the model has another part in it than the prompts and their turns.
LEVELS: Mapping[str, Mapping[str, float]] = {
    "server_pace": {
        "decode_multiple": 1.0,
        "prefill_multiple": 1.0,
        "first_token_multiple": -1.0,
        "request_time": 1.0,
        "request_time_per_client": 1.0,
        "active_power": -1.0,
    },
    "server_first_token": {"first_token_multiple": 1.0},
    "server_outside": {"request_time": 1.0, "request_time_per_client": 1.0},
    "server_energy": {"power_multiple": 1.0},
}
# An effect of this kind is the same for all systems.
SHARED = ""
# What a system is known by, apart from how it is set up.
_KNOWN_BY = ("engine", "xpu", "model", "family", "precision")


@dataclass(frozen=True)
class Effect:
    """The offset of one group on a parameter's scale, or of one quantity's logarithm.

    Attributes:
        parameter: a field of Efficiency, or one of MULTIPLES or LEVELS.
        kind: what the group shares: parts of a system's name joined by hyphens; SHARED for all.
        group: its values joined by colons; UNSEEN for the spread between groups.
        mean: the offset.
        sd: its standard deviation.
        curves: measured curves that it was fitted on.
    """

    parameter: str
    kind: str
    group: str
    mean: float
    sd: float
    curves: int

    @property
    def column(self) -> str:
        """Its name among the joint draws."""
        return f"{self.parameter}|{self.kind}|{self.group}"


@dataclass(frozen=True)
class System:
    """What a system is known by; an empty text where it isn't known.

    Attributes:
        engine: the serving software, such as vllm.
        xpu: id of the accelerator.
        model: id of the model.
        family: the model's family.
        precision: of the weights.
        level: effects on LEVELS, of how the server is set up; none for one that is tuned as well as
            the best public benchmarks.
    """

    engine: str = ""
    xpu: str = ""
    model: str = ""
    family: str = ""
    precision: str = ""
    level: tuple[Effect, ...] = ()

    def group(self, kind: str) -> str:
        """The system's group of a kind, such as "vllm:fp8" of the kind "engine-precision"."""
        parts = [getattr(self, part, "") for part in kind.split("-")]
        return ":".join(parts) if all(parts) else UNSEEN

    def label(self, kind: str) -> str:
        """What tells the system from others of its kind, whether or not any was measured."""
        if kind == SHARED:
            return ""
        parts = kind.split("-")
        # What differs from one measurement to the next is a system's own.
        named = parts if set(parts) <= set(_KNOWN_BY) else _KNOWN_BY
        return ":".join(getattr(self, of) for of in named)


@dataclass(frozen=True)
class Attainment:
    """Calibrated efficiencies: values shared by all systems, and effects of groups.

    Attributes:
        values: of every field of Efficiency.
        scales: the scale on which a parameter's effects add up: "log" or "logit".
        effects: of the groups, keyed by parameter, kind and group.
        draws: joint draws of fitted values and effects from their posterior, by column.
    """

    values: Mapping[str, float]
    scales: Mapping[str, str]
    effects: Mapping[tuple[str, str, str], Effect]
    draws: Mapping[str, np.ndarray]

    def effects_on(self, system: System, parameter: str) -> list[Effect]:
        """The effects that a system has on a parameter, one a kind; spreads where it is unseen."""
        if parameter in LEVELS:
            return [effect for effect in system.level if effect.parameter == parameter]
        kinds = dict.fromkeys(kind for of, kind, _ in self.effects if of == parameter)
        return [
            self.effects.get(
                (parameter, kind, system.group(kind)), self.effects[parameter, kind, UNSEEN]
            )
            for kind in kinds
        ]

    def efficiency(self, system: System) -> Efficiency:
        """Most probable efficiencies of a system."""
        return Efficiency(**self.probable(system))

    def probable(self, system: System) -> dict[str, float]:
        """Most probable efficiencies of a system as plain numbers, by name."""
        known = dict(self.values)
        for parameter, scale in self.scales.items():
            offset = sum(effect.mean for effect in self.effects_on(system, parameter))
            known[parameter] = float(shifted(scale, known[parameter], offset))
        for quantity, carriers in MULTIPLES.items():
            offset = sum(effect.mean for effect in self.effects_on(system, quantity))
            for carrier in carriers:
                known[carrier] = known[carrier] * float(np.exp(offset))
        for carrier, offset in self._of_level(system).items():
            known[carrier] = known[carrier] * float(np.exp(offset))
        return known

    def _of_level(self, system: System) -> dict[str, float]:
        """Most probable offsets of efficiencies, in logs, for how a system is set up."""
        offsets: dict[str, float] = {}
        for effect in system.level:
            for carrier, power in LEVELS[effect.parameter].items():
                offsets[carrier] = offsets.get(carrier, 0.0) + power * effect.mean
        return offsets

    def parameter_draws(self, system: System) -> Efficiency:
        """Draws of a system's efficiencies, multiples left at their most probable values.

        Returns:
            A record with a leading dimension of draws. What two systems have in common is the same
            in both of their draws, and the rest independent, so that they can be compared.
        """
        return Efficiency(**self._parameter_draws(system))

    def _parameter_draws(self, system: System) -> dict[str, np.ndarray]:
        count = len(next(iter(self.draws.values())))
        centre = self.efficiency(replace(system, level=()))
        drawn = {
            of.name: np.full(count, float(getattr(centre, of.name))) for of in fields(Efficiency)
        }
        for parameter in [name for name in self.values if name in self.draws]:
            base = self.draws[parameter]
            for effect in self.effects_on(system, parameter):
                column = self.draws.get(effect.column)
                offset = _offsets(system, effect, count) if column is None else column
                base = np.asarray(shifted(self.scales[parameter], base, offset))
            drawn[parameter] = base
        for carrier, moved in self._of_level(system).items():
            drawn[carrier] = drawn[carrier] * np.exp(moved)
        return drawn

    def sd(self, system: System, quantity: str) -> float:
        """Standard deviation of a system's unexplained multiple of a quantity, in logs."""
        return float(np.sqrt(sum(effect.sd**2 for effect in self.effects_on(system, quantity))))

    def efficiency_draws(self, system: System) -> Efficiency:
        """Draws of all that is uncertain about a system, multiples included.

        Returns:
            A record with a leading dimension of draws, as of `parameter_draws`.
        """
        drawn = self._parameter_draws(system)
        count = len(drawn["memory"])
        for quantity, carriers in MULTIPLES.items():
            effects = self.effects_on(system, quantity)
            factor = np.exp(sum(_offsets(system, effect, count) for effect in effects))
            # One factor for all that a quantity is made of: decode and prompts slow down together.
            for carrier in carriers:
                drawn[carrier] = drawn[carrier] * factor
        for effect in system.level:
            offsets = _offsets(system, effect, count)
            for carrier, power in LEVELS[effect.parameter].items():
                drawn[carrier] = drawn[carrier] * np.exp(power * offsets)
        return Efficiency(**drawn)


def shifted(scale: str, value: np.ndarray | float, offset: np.ndarray | float) -> np.ndarray:
    """A value moved by an offset on its scale, "log" or "logit"."""
    if scale == "log":
        return np.asarray(value * np.exp(offset))
    return np.asarray(1.0 / (1.0 + (1.0 / np.asarray(value) - 1.0) * np.exp(-np.asarray(offset))))


def _offsets(system: System, effect: Effect, count: int) -> np.ndarray:
    """Draws of an effect, spread evenly: the same for all systems that are alike in its kind."""
    name = f"{effect.parameter}|{effect.kind}|{system.label(effect.kind)}"
    order = np.random.default_rng(zlib.crc32(name.encode())).permutation(count)
    return np.asarray(effect.sd * ndtri((order + 0.5) / count))
