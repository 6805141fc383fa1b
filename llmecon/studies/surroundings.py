"""What chapters take a data centre and a reader's device to be, where no table says it."""

from llmecon.costs import embodied
from llmecon.tables import catalog, hardware_parts

SERVER_HOLDS = 8.0  # accelerators
READER_HOURS = 4.0  # a day that the reader's device is used for anything


def making(xpu: str, around: float) -> float:
    """Making an accelerator and its share of the machine around it, kg CO2e.

    Args:
        xpu: id of the accelerator.
        around: the machine's share, kg CO2e.
    """
    own = embodied.manufacture(hardware_parts.materials(xpu), hardware_parts.recipe())
    return float(own.total) + around


def building() -> float:
    """An accelerator's share of the data centre's construction, kg CO2e: that of a TPU v6e."""
    splits = catalog.table("carbon_splits")
    chosen = splits[(splits["case"] == "tpu-v6e-making") & (splits["part"] == "building")]
    return float(chosen["value"].iloc[0])
