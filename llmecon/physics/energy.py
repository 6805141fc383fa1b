"""What a device is doing, turned into watts; device, host and facility kept apart."""

import equinox as eqx
from jaxtyping import Array, Float

from llmecon.numerics import smooth_minimum
from llmecon.specs import XPU, Efficiency, Number, Site, number

Scalar = Float[Array, "..."]

# Sharpness of the cap that firmware puts on power at TDP.
CAP_SHARPNESS = 4.0


class Energy(eqx.Module):
    """Energy by boundary, all in joules.

    Attributes:
        device: the accelerators alone, without what `idle` counts.
        host: processors, memory, network and fans of the servers they sit in, likewise.
        facility: cooling and power conversion: what the meter shows beyond the servers.
        idle: accelerators and hosts while they wait for work.
    """

    device: Scalar
    host: Scalar
    facility: Scalar
    idle: Number = number(default=0.0)

    @property
    def servers(self) -> Scalar:
        """What the servers draw, J."""
        return self.device + self.host + self.idle

    @property
    def total(self) -> Scalar:
        """What the site's meter shows, J."""
        return self.servers + self.facility


def device_power(
    xpu: XPU, efficiency: Efficiency, busy: Scalar, compute_use: Scalar, memory_use: Scalar
) -> Scalar:
    """Average power of one device under a load.

    Args:
        xpu: the accelerator.
        efficiency: its idle, active, memory and compute shares of TDP.
        busy: share of time with any work in flight, 0 to 1.
        compute_use: share of time that the arithmetic takes at the rate it attains, 0 to 1.
        memory_use: share of time that memory traffic takes at the rate it attains, 0 to 1.

    Returns:
        Watts: the sum of the four shares, capped smoothly at TDP [MLEnergy].
    """
    share = (
        efficiency.idle_power
        + efficiency.active_power * busy
        + efficiency.compute_power * compute_use
        + efficiency.memory_power * memory_use
    )
    capped = smooth_minimum(share, 1.0 + 0.0 * share, CAP_SHARPNESS)
    return efficiency.power_multiple * xpu.tdp * capped


def energy_of(
    device_seconds: Scalar,
    power: Scalar,
    host_power: Scalar,
    site: Site,
    busy: Scalar | float = 1.0,
    idle_power: Scalar | float = 0.0,
) -> Energy:
    """Energy of some devices running for some time, by boundary.

    Args:
        device_seconds: devices times seconds.
        power: average power of one device over that time, W.
        host_power: power of the rest of the server per device, W.
        site: its PUE.
        busy: share of the time with any work in flight; what is drawn in the rest counts as idle.
        idle_power: of one device without work, W; at most `power`.

    Returns:
        Joules of devices, hosts, facility overhead and idle servers [Patterson2021]. Their sum
        does not depend on `busy`.
    """
    waiting = 1.0 - busy
    device = device_seconds * (power - waiting * idle_power)
    host = device_seconds * busy * host_power
    idle = device_seconds * waiting * (idle_power + host_power)
    return Energy(
        device=device,
        host=host,
        facility=(site.pue - 1.0) * (device + host + idle),
        idle=idle,
    )
