"""Carbon of making devices: bottom-up from dies, memory and power, and spread over their life."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon.specs import Materials, Number, number

Scalar = Float[Array, "..."]


class Recipe(eqx.Module):
    """What the parts of a device cost in carbon, taken from one product whose footprint is known.

    Attributes:
        logic: emissions of all integrated circuits per emission of the main dies alone: switches,
            power stages and packaging come with them.
        memory: kg CO2e per byte.
        thermal: kg CO2e per watt of rated power: heat sinks.
        rest: kg CO2e per device: board, connectors, assembly.
    """

    logic: Number = number()
    memory: Number = number()
    thermal: Number = number()
    rest: Number = number()


class Embodied(eqx.Module):
    """Emissions of making something, by part, kg CO2e from cradle to gate.

    Attributes:
        logic: integrated circuits.
        memory: memory chips or stacks.
        thermal: heat sinks.
        rest: board, connectors, assembly.
    """

    logic: Scalar
    memory: Scalar
    thermal: Scalar
    rest: Scalar

    @property
    def total(self) -> Scalar:
        """All parts, kg CO2e."""
        return self.logic + self.memory + self.thermal + self.rest


def wafer_carbon(
    fab_energy: Scalar | float,
    fab_intensity: Scalar | float,
    gases: Scalar | float,
    materials: Scalar | float,
    die_yield: Scalar | float,
) -> Scalar:
    """Emissions of making a square centimetre of good die.

    Args:
        fab_energy: J/cm2.
        fab_intensity: of the fab's electricity, kg CO2e/J.
        gases: process gases that escape abatement, kg CO2e/cm2.
        materials: silicon and chemicals, kg CO2e/cm2.
        die_yield: share of dies that work, above 0 to 1.

    Returns:
        kg CO2e/cm2 [ACT].
    """
    return jnp.asarray((fab_energy * fab_intensity + gases + materials) / die_yield)


def calibrated(materials: Materials, making: Embodied) -> Recipe:
    """A recipe that gives a product's published footprint back.

    Args:
        materials: of the product; positive.
        making: its published footprint, by part.

    Returns:
        The recipe.
    """
    return Recipe(
        logic=making.logic / (materials.die_area * materials.wafer_carbon),
        memory=making.memory / materials.memory,
        thermal=making.thermal / materials.power,
        rest=making.rest,
    )


def manufacture(materials: Materials, recipe: Recipe) -> Embodied:
    """Emissions of making a device.

    Args:
        materials: what it is made of.
        recipe: what its parts cost.

    Returns:
        kg CO2e by part.
    """
    return Embodied(
        logic=recipe.logic * materials.die_area * materials.wafer_carbon,
        memory=recipe.memory * materials.memory,
        thermal=recipe.thermal * materials.power,
        rest=recipe.rest + 0.0 * materials.power,
    )


def amortised(making: Scalar, device_seconds: Scalar, lifetime: Scalar, used: Scalar) -> Scalar:
    """The share of making some devices that falls on some of their working time.

    Args:
        making: kg CO2e per device.
        device_seconds: devices times seconds of work.
        lifetime: of a device, s.
        used: share of its life that it works, above 0 to 1.

    Returns:
        kg CO2e: over a whole life of work this sums to `making` [Luccioni2023].
    """
    return making * device_seconds / (lifetime * used)
