"""What a device is doing, turned into watts; device, host and facility kept apart."""

import equinox as eqx
from jaxtyping import Array, Float

from llmecon.numerics import smooth_minimum
from llmecon.specs import XPU, Efficiency, Site

Scalar = Float[Array, "..."]

# Sharpness of the cap that firmware puts on power at TDP.
CAP_SHARPNESS = 4.0


class Energy(eqx.Module):
    """Energy by boundary, all in joules.

    Attributes:
        device: the accelerators alone.
        host: processors, memory, network and fans of the servers they sit in.
        facility: cooling and power conversion: what the meter shows beyond the servers.
    """

    device: Scalar
    host: Scalar
    facility: Scalar

    @property
    def total(self) -> Scalar:
        """What the site's meter shows, J."""
        return self.device + self.host + self.facility


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
) -> Energy:
    """Energy of some devices running for some time, by boundary.

    Args:
        device_seconds: devices times seconds.
        power: average power of one device, W.
        host_power: power of the rest of the server per device, W.
        site: its PUE.

    Returns:
        Joules of devices, hosts and facility overhead [Patterson2021].
    """
    device = device_seconds * power
    host = device_seconds * host_power
    return Energy(device=device, host=host, facility=(site.pue - 1.0) * (device + host))
