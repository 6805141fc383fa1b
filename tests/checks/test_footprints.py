"""Published footprints, recomputed: how near the models come, and what is circular."""

import statistics

import pytest

from llmecon.checks import footprints


def ratios(comparisons: list[footprints.Comparison]) -> dict[str, float]:
    frame = footprints.table(comparisons)
    return dict(zip(frame["case"] + ", " + frame["part"], frame["ratio"], strict=True))


def test_bloom_by_part() -> None:
    """24.7 t in use and 11.2 t of hardware follow from the authors' own figures; 14.6 t of waiting
    servers are predicted from idle power and hosts alone.
    """
    found = {of.part: of for of in footprints.bloom()}
    assert found["dynamic"].circular
    assert found["making"].circular
    assert not found["idle"].circular
    assert found["dynamic"].computed == pytest.approx(24.7, rel=0.002)
    assert found["making"].computed == pytest.approx(11.2, rel=0.002)
    assert found["idle"].computed == pytest.approx(14.6, rel=0.20)
    assert sum(of.computed for of in found.values()) == pytest.approx(50.5, rel=0.05)


def test_a_prompt_by_boundary() -> None:
    """What follows from 0.14, 0.06 and 0.02 Wh: all within what the published digits allow."""
    found = {of.part: of for of in footprints.gemini()}
    assert all(of.circular for of in found.values())
    assert found["energy"].computed == pytest.approx(0.24, abs=0.0005)
    assert found["facility"].computed == pytest.approx(0.02, abs=0.0005)
    assert found["water"].computed == pytest.approx(0.26, rel=0.05)
    assert found["electricity"].computed == pytest.approx(0.023, abs=0.0005)


def test_boards_and_cards() -> None:
    found = footprints.devices()
    circular = [of.case for of in found if of.circular]
    assert len(circular) == 1
    near = ratios([of for of in found if not of.circular])
    assert near["NVIDIA HGX B200 baseboard, 8 GPUs, cradle-to-gate"] == pytest.approx(1, abs=0.10)
    assert near["NVIDIA A100 SXM 40GB, taken apart, cradle-to-gate"] == pytest.approx(1, abs=0.20)
    # Other studies of the H100 count more than its maker does, and of a TPU the whole tray.
    assert min(near.values()) > 0.3
    assert max(near.values()) < 1.1


def test_metered_runs() -> None:
    """Within a factor of two, all; on GPUs, whose rated power is published, within 30%."""
    found = footprints.metered_training()
    assert len(found) >= 8
    assert not any(of.circular for of in found)
    all_of_them = ratios(found)
    assert all(0.5 < ratio < 2 for ratio in all_of_them.values())
    assert 0.8 < statistics.median(all_of_them.values()) < 1.25
    gpus = {name: ratio for name, ratio in all_of_them.items() if name.startswith(("GPT", "OLMo"))}
    assert len(gpus) >= 4
    assert all(0.7 < ratio < 1.3 for ratio in gpus.values()), gpus


def test_every_comparison_names_its_source() -> None:
    for of in footprints.everything():
        assert of.source
        assert of.published > 0
        assert of.computed > 0
