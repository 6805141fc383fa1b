from . import (
    enumeration,
    errors_by_group,
    footprints,
    left_out_publishers,
    mixed_fleets,
    noise_floor,
    older_engines,
    published_choices,
    published_phases,
    scheduler,
    waiting_power,
)

__all__ = [
    "enumeration",
    "errors_by_group",
    "footprints",
    "left_out_publishers",
    "mixed_fleets",
    "noise_floor",
    "older_engines",
    "published_choices",
    "published_phases",
    "scheduler",
    "waiting_power",
]
