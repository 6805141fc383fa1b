"""Operational carbon: energy at a site times the intensity of its grid.

The boundary is the electricity of devices, hosts and facility, location-based: emissions of the
grid that feeds the site, whatever certificates its owner holds. Making the hardware (embodied
carbon), water, and the network and device of the user are outside it.
"""

from jaxtyping import Array, Float

from llmecon.energy import Energy
from llmecon.specs import Site

Scalar = Float[Array, "..."]


def operational_carbon(energy: Energy, site: Site) -> Scalar:
    """Emissions of the electricity used, location-based.

    Args:
        energy: device, host and facility energy, J.
        site: its grid's carbon intensity.

    Returns:
        kg CO2e [Patterson2021].
    """
    return energy.total * site.carbon_intensity
