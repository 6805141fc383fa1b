"""What the numbers of the chapter on tokenomics rest on, and its table of sources."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from llmecon import words
from llmecon.publishing.prose import provenance
from llmecon.publishing.prose.provenance import Provenance
from llmecon.studies.tokenomics import hardware
from llmecon.studies.tokenomics.study import Study
from llmecon.tables import catalog

_HYPHEN = "\N{NON-BREAKING HYPHEN}"


@dataclass(frozen=True)
class Rests:
    """Rows of tables that numbers rest on, by what they say.

    Attributes:
        fits: the efficiencies.
        service: these, model, accelerator and workload.
        rent: the accelerator's; nothing where it was given.
        owner: what owning takes.
        api: the rival's price.
    """

    fits: Provenance
    service: Provenance
    rent: Provenance
    owner: Provenance
    api: Provenance

    @property
    def every_way(self) -> Provenance:
        """The service and all ways to pay for it."""
        return self.service | self.rent | self.owner | self.api


def rests(study: Study) -> Rests:
    """What the study's numbers rest on."""
    given = study.scenario
    fits = provenance.of_servers()
    return Rests(
        fits=fits,
        service=fits | provenance.of(models=given.model, xpus=given.xpu, workloads=given.workload),
        rent=rents(study, [given.xpu]),
        owner=provenance.of(
            servers=all,
            xpu_prices=catalog.purchase_offers(given.xpu),
            electricity_prices=hardware.power_region(given.grid),
            facilities=catalog.DEFAULT_FACILITY,
        ),
        api=provenance.of(api_prices=study.market.prices.loc[[study.rival.row.name]]),
    )


def rents(study: Study, xpus: Iterable[str]) -> Provenance:
    """The rents of some accelerators, as far as the catalogue has them."""
    looked_up = [of for of in xpus if of != study.scenario.xpu or not study.hours.given]
    return provenance.of(rental_prices=catalog.rental_offers(*looked_up))


def month(text: object) -> str:
    """A month that does not wrap at its hyphen."""
    return str(text).replace("-", _HYPHEN)


def table(study: Study) -> pd.DataFrame:
    """Where the inputs come from, with the month in which each price was seen."""
    given, requests = study.scenario, study.case.requests
    xpu, model = catalog.row("xpus", given.xpu), catalog.row("models", given.model)
    load, grid = catalog.row("workloads", given.workload), catalog.row("grid", given.grid)
    facility = catalog.row("facilities", catalog.DEFAULT_FACILITY)
    pace = catalog.row("reading_speeds", given.reader)
    region = hardware.power_region(given.grid)
    power = catalog.table("electricity_prices").set_index("grid").to_dict("index")[region]
    lengths = (requests.prompt_tokens, requests.output_tokens)
    prompt, output = (words.number(float(tokens), 3) for tokens in lengths)
    own = given.prompt_tokens or given.output_tokens
    rows = [
        _row(
            f"{study.xpu_name}, datasheet",
            f"{words.number(xpu['memory_gb'])} GB, "
            f"{words.number(xpu['memory_bandwidth_tb_s'], 3)} TB/s",
            xpu["year"],
            xpu["source"],
            xpu["checked"],
        ),
        _row(
            f"{study.model_name}, architecture",
            f"{words.number(model['parameters_total_b'], 3)} billion parameters",
            model["release"],
            model["source"],
            model["architecture_checked"],
        ),
        _row(
            f"{load['name']}, workload",
            f"{prompt} in, {output} out",
            "",
            load["source"],
            load["checked"],
            "lengths as given" if own else "",
        ),
        _rent(study),
        *_purchase(study),
        _api(study),
        _row(
            "Electricity",
            f"{words.number(power['usd_per_kwh'], 3)} USD/kWh",
            power["year"],
            power["source"],
            power["checked"],
            f"industrial, {region}",
        ),
        _row(
            "PUE",
            words.number(facility["pue"], 3),
            f"{facility['year']:.0f}",
            facility["source"],
            facility["checked"],
            facility["name"],
        ),
        _row(
            "Carbon intensity",
            f"{words.number(grid['g_co2e_per_kwh'], 3)} g CO₂e/kWh",
            grid["year"],
            grid["source"],
            grid["checked"],
            f"{grid['name']}, {grid['basis']}",
        ),
        _row(
            "Reading pace",
            f"{words.number(pace['tokens_per_s'])} tokens/s",
            "",
            pace["source"],
            pace["checked"],
            pace["name"],
        ),
        _row(
            "Colocation",
            f"{words.usd(hardware.colocation())} per kW and month",
            "2024",
            "CBRE2025",
            True,
            "asking rate, North America",
        ),
        _row(
            "Cost of capital, maintenance, life",
            f"{words.percent(hardware.COST_OF_CAPITAL)}, {words.percent(hardware.MAINTENANCE)} "
            f"a year, {words.number(hardware.LIFETIME_YEARS)} years",
            "",
            "",
            False,
            "assumptions",
        ),
    ]
    return pd.DataFrame(rows).fillna("")


def _row(
    what: str, value: str, when: object, source: str, checked: bool, remark: str = ""
) -> dict[str, str]:
    return {
        "Figure": what,
        "Value": value,
        "As of": month(when),
        "Source": words.sources(source),
        "Checked": "yes" if checked else "no",
        "Remark": remark,
    }


def _rent(study: Study) -> dict[str, str]:
    hours = study.hours
    looked_up = hours.listed if hours.rentable and not hours.given else None
    return _row(
        f"{study.xpu_name}, rent",
        f"{words.usd(study.usd_per_hour)} an hour",
        looked_up.month if looked_up else "",
        looked_up.source if looked_up else "",
        looked_up.checked if looked_up else hours.given,
        hours.said,
    )


def _purchase(study: Study) -> list[dict[str, str]]:
    of = study.bought
    if of is None:
        return []
    figure = f"{study.xpu_name}, purchase"
    return [_row(figure, words.usd(of.usd), "", of.source, of.checked, of.said)]


def _api(study: Study) -> dict[str, str]:
    row = study.rival.row
    asked = [words.usd(row[f"{kind}_usd_per_mtok"]) for kind in ("input", "output")]
    return _row(
        study.rival.name,
        f"{asked[0]} in, {asked[1]} out, per million",
        row["month"],
        row["source"],
        row["checked"],
        study.rival.reason,
    )
