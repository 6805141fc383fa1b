"""Carbon of making devices, against ACT's sums and published footprints of boards."""

import pytest

from llmecon.costs import embodied
from llmecon.errors import InputError
from llmecon.specs import JOULES_PER_KWH, SECONDS_PER_YEAR, Materials
from llmecon.tables import catalog, hardware_parts
from tests.problems import floats


@pytest.mark.parametrize(
    ("kwh", "gases_g", "kg"),
    [(2.15, 275.0, 2.1143), (2.75, 327.5, 2.5171)],  # 7 nm and 5 nm, mean of both abatements
)
def test_a_square_centimetre_by_hand(kwh: float, gases_g: float, kg: float) -> None:
    """ACT's sum at 500 g/kWh: (kWh x 500 + gases + 500 g of materials) / 0.875."""
    found = embodied.wafer_carbon(
        *floats(kwh * JOULES_PER_KWH, 0.5 / JOULES_PER_KWH, gases_g / 1000, 0.5, 0.875)
    )
    assert found == pytest.approx(kg, rel=1e-3)


def test_a_recipe_gives_its_product_back() -> None:
    made = hardware_parts.published_making(hardware_parts.RECIPE_PRODUCT)
    found = embodied.manufacture(hardware_parts.materials("h100-sxm"), hardware_parts.recipe())
    assert made.total == pytest.approx(1312 / 8)
    for part in ("logic", "memory", "thermal", "rest"):
        assert getattr(found, part) == pytest.approx(getattr(made, part)), part


def test_the_board_of_the_next_generation_follows() -> None:
    """HGX B200: 2,274 kg for eight, memory 49%, integrated circuits 28%, heat sinks 12%."""
    materials = hardware_parts.materials("b200")
    found = embodied.manufacture(materials, hardware_parts.recipe())
    assert 8 * found.total == pytest.approx(2274, rel=0.10)
    assert 8 * found.logic == pytest.approx(0.28 * 2274, rel=0.10)
    assert 8 * found.memory == pytest.approx(0.49 * 2274, rel=0.15)
    assert 8 * found.thermal == pytest.approx(0.12 * 2274, rel=0.30)


def test_an_older_card_lies_between_its_published_footprints() -> None:
    """A100: 127.6 kg for the card of 40 GB, up to 181 kg in other studies."""
    small = embodied.manufacture(
        hardware_parts.materials("a100-sxm-40gb"), hardware_parts.recipe()
    ).total
    large = embodied.manufacture(
        hardware_parts.materials("a100-sxm-80gb"), hardware_parts.recipe()
    ).total
    assert small == pytest.approx(127.6, rel=0.25)
    assert small < large < 181


def test_a_finer_node_costs_more_per_area() -> None:
    ampere, hopper = (hardware_parts.materials(of) for of in ("a100-sxm-80gb", "h100-sxm"))
    assert hopper.wafer_carbon > 1.1 * ampere.wafer_carbon


def test_every_accelerator_can_be_made() -> None:
    for of in catalog.ids("xpus"):
        made = embodied.manufacture(hardware_parts.materials(of), hardware_parts.recipe())
        assert 10 < made.total < 10_000, of


def test_a_life_of_work_bears_all_of_the_making() -> None:
    """BLOOM: 1,082,990 hours of GPUs of 150 kg in servers of 2,500 kg for eight, that last six
    years and work 85% of them, bear 11.2 t [Luccioni2023]; a whole life bears all.
    """
    lifetime = 6 * SECONDS_PER_YEAR
    each = 150.0 + 2500.0 / 8
    found = embodied.amortised(*floats(each, 1_082_990 * 3600.0, lifetime, 0.85))
    assert found / 1000 == pytest.approx(11.2, rel=0.01)
    whole = embodied.amortised(*floats(each, 0.85 * lifetime, lifetime, 0.85))
    assert whole == pytest.approx(each)


def test_only_products_with_published_parts_make_a_recipe() -> None:
    with pytest.raises(InputError, match=r"parts of .* are not published"):
        hardware_parts.published_making("dell-r740-paia")


def test_more_of_anything_emits_more() -> None:
    recipe = hardware_parts.recipe()
    base = Materials(die_area=8.0, wafer_carbon=2.5, memory=80e9, power=700.0)
    for field in ("die_area", "memory", "power"):
        more = Materials(**(vars(base) | {field: getattr(base, field) * 1.1}))
        assert (
            embodied.manufacture(more, recipe).total > embodied.manufacture(base, recipe).total
        ), field
