"""What a reader calls the rows of the catalogue that a scenario names."""

from typing import Any

from llmecon.tables import catalog


class Names:
    """Names of what most scenarios name by id; for studies to inherit.

    Attributes:
        scenario: with the parameters whose names are asked for.
    """

    scenario: Any

    @property
    def model_name(self) -> str:
        """The model."""
        return catalog.name("models", self.scenario.model)

    @property
    def xpu_name(self) -> str:
        """The accelerator that serves it."""
        return catalog.name("xpus", self.scenario.xpu)

    @property
    def grid_name(self) -> str:
        """The grid that feeds the machines."""
        return catalog.name("grid", self.scenario.grid)

    @property
    def facility_name(self) -> str:
        """The data centre."""
        return catalog.name("facilities", self.scenario.facility)
