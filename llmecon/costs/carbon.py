"""Energy, hardware and networks turned into emissions and water, each part with its boundary.

Emissions of electricity are location-based unless asked otherwise: those of the grid that feeds
the site, whatever certificates its owner holds.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon.errors import InputError
from llmecon.physics.energy import Energy
from llmecon.specs import GridKind, Number, Site, number

Scalar = Float[Array, "..."]

BASES = ("location", "market", "marginal")
"""Whose electricity is counted: the grid's average, what its owner buys, or what a change adds."""

BOUNDARIES: Mapping[str, str] = MappingProxyType(
    {
        "device": "electricity of the accelerators at work",
        "host": "electricity of the servers around them at work: processors, memory, fans",
        "idle": "electricity of servers that stand ready without work",
        "facility": "cooling and power conversion of the data centre",
        "making": "manufacture of accelerators and servers, spread over their life",
        "building": "construction of the data centre, spread over the machines' life",
        "network": "electricity of the network between data centre and reader, as an average share",
        "reader": "electricity and manufacture of the reader's own device while it is used",
        "training": "training of the model, spread over all that it will be asked",
    }
)
"""What each part of a footprint covers."""


class Footprint(eqx.Module):
    """Emissions by cause, kg CO2e; `BOUNDARIES` says what each part covers.

    Attributes:
        device: electricity of accelerators.
        host: electricity of the servers around them.
        idle: electricity of servers without work.
        facility: cooling and power conversion.
        making: hardware.
        building: data centre.
        network: between data centre and reader.
        reader: the reader's own device.
        training: the model.
    """

    device: Number = number(default=0.0)
    host: Number = number(default=0.0)
    idle: Number = number(default=0.0)
    facility: Number = number(default=0.0)
    making: Number = number(default=0.0)
    building: Number = number(default=0.0)
    network: Number = number(default=0.0)
    reader: Number = number(default=0.0)
    training: Number = number(default=0.0)

    @property
    def electricity(self) -> Scalar:
        """Of the data centre, kg CO2e."""
        return self.device + self.host + self.idle + self.facility

    @property
    def served(self) -> Scalar:
        """All parts up to the reader's own device, which would be used for something else."""
        return self.total - self.reader

    @property
    def total(self) -> Scalar:
        """All parts, kg CO2e."""
        return sum(vars(self).values(), start=jnp.zeros(()))


class Water(eqx.Module):
    """Water consumed: evaporated, not given back. Litres.

    Attributes:
        on_site: for cooling the data centre.
        off_site: in the power plants that feed it.
    """

    on_site: Scalar
    off_site: Scalar

    @property
    def total(self) -> Scalar:
        """Both, litres."""
        return self.on_site + self.off_site


class EndDevice(eqx.Module):
    """A reader's phone, tablet or computer.

    Attributes:
        power: while it is used, W.
        making: kg CO2e.
        lifetime: seconds of use in its whole life.
    """

    power: Number = number()
    making: Number = number()
    lifetime: Number = number()


def intensity(site: Site, basis: str = "location") -> Scalar:
    """The carbon intensity that a way of accounting uses.

    Args:
        site: its three intensities.
        basis: location (the grid's average), market (what the owner's contracts say) or marginal
            (the plants that follow a change in demand).

    Returns:
        kg CO2e per joule [GHGProtocolScope2].

    Raises:
        InputError: no such basis.
    """
    _require_basis(basis)
    named = {
        "location": site.carbon_intensity,
        "market": site.market_intensity,
        "marginal": site.marginal_intensity,
    }
    found: Scalar = named[basis]
    return found


def kind(site: Site, basis: str = "location") -> GridKind:
    """What the intensity counts that a way of accounting uses.

    Args:
        site: its intensities.
        basis: location, market or marginal.

    Returns:
        What of a plant's life is counted, and whose electricity.

    Raises:
        InputError: no such basis.
    """
    _require_basis(basis)
    if basis == "marginal":
        return GridKind(site.kind.basis, "margin")
    return site.market_kind if basis == "market" else site.kind


def _require_basis(basis: str) -> None:
    if basis not in BASES:
        raise InputError(f"basis: {basis!r} is not a way of accounting; use {', '.join(BASES)}")


def operational_carbon(energy: Energy, site: Site, basis: str = "location") -> Scalar:
    """Emissions of the electricity that a data centre uses.

    Args:
        energy: device, host, idle and facility energy, J.
        site: its grid.
        basis: whose electricity is counted: location, market or marginal.

    Returns:
        kg CO2e [Patterson2021].

    Raises:
        InputError: no such basis.
    """
    return energy.total * intensity(site, basis)


def footprint(
    energy: Energy, site: Site, *, basis: str = "location", besides: Footprint | None = None
) -> Footprint:
    """All emissions of some work, by cause.

    Args:
        energy: of the data centre, J.
        site: its grid.
        basis: whose electricity is counted: location, market or marginal.
        besides: what comes to the data centre's electricity: shares of making and building
            (`embodied.amortised`), network (`network_carbon`), reader (`reader_carbon`) and
            training (`training_share`); none by default.

    Returns:
        Parts that sum to the whole.

    Raises:
        InputError: no such basis.
    """
    per_joule = intensity(site, basis)
    return replace(
        Footprint() if besides is None else besides,
        device=energy.device * per_joule,
        host=energy.host * per_joule,
        idle=energy.idle * per_joule,
        facility=energy.facility * per_joule,
    )


def network_carbon(sent: Scalar, energy_per_byte: Scalar, carbon_intensity: Scalar) -> Scalar:
    """Emissions of sending bytes, as an average share of the network's electricity.

    Networks draw nearly the same power whether or not these bytes are sent, so that this is an
    allocation and not what sending fewer would save.

    Args:
        sent: bytes.
        energy_per_byte: J per byte.
        carbon_intensity: of the network's electricity, kg CO2e/J.

    Returns:
        kg CO2e [Aslan2018].
    """
    return sent * energy_per_byte * carbon_intensity


def reader_carbon(device: EndDevice, seconds: Scalar, carbon_intensity: Scalar) -> Scalar:
    """Emissions of a reader's device while an answer is awaited and read.

    Args:
        device: its power and manufacture.
        seconds: for which it is used.
        carbon_intensity: of the reader's electricity, kg CO2e/J.

    Returns:
        kg CO2e.
    """
    return seconds * (device.power * carbon_intensity + device.making / device.lifetime)


def training_share(trained: Scalar, lifetime_work: Scalar, work: Scalar) -> Scalar:
    """What some work bears of a model's training.

    Args:
        trained: emissions of training, kg CO2e.
        lifetime_work: requests or tokens that the model serves before it is replaced, > 0.
        work: served now, in the same unit.

    Returns:
        kg CO2e.
    """
    return trained * work / lifetime_work


def daily_factor(load: Float[Array, " hours"], ratios: Float[Array, " hours"]) -> Scalar:
    """How much dirtier the electricity of a daily rhythm of load is than that of an even one.

    Args:
        load: by hour; any unit, not all 0.
        ratios: of the grid's intensity over its mean, by hour.

    Returns:
        Mean intensity met by the load over mean intensity of the day.
    """
    return jnp.sum(load * ratios) / (jnp.sum(load) * jnp.mean(ratios))


def water(energy: Energy, site: Site) -> Water:
    """Water consumed for some energy.

    Args:
        energy: of the data centre, J.
        site: litres per joule for its cooling and of its power plants.

    Returns:
        Litres on site, by IT energy, and off site, by all energy [Li2023Water].
    """
    return Water(
        on_site=energy.servers * site.water_on_site,
        off_site=energy.total * site.water_off_site,
    )
