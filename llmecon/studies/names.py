"""What a reader calls the rows of the catalogue that a scenario names."""

from pathlib import Path
from typing import Any

from llmecon.evidence import server_levels
from llmecon.evidence.uncertainty import Multiple
from llmecon.studies.systems import system_of
from llmecon.tables import catalog
from llmecon.tables.efficiencies import System

SET_UP = {
    "typical": "typical servers",
    "best": "servers tuned as the best",
    "own": "servers like your own",
}
"""Servers by how they are set up, as a reader calls them."""


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

    @property
    def set_up(self) -> str:
        """How the servers are set up: one of SET_UP."""
        return "own" if self.scenario.my_server else str(self.scenario.tuning)

    @property
    def servers(self) -> str:
        """The servers, by how they are set up."""
        return SET_UP[self.set_up]

    @property
    def serving(self) -> System:
        """The system that serves, as it is set up."""
        return system_of(self.scenario)

    @property
    def slowness(self) -> Multiple:
        """How many times as long a batch takes as on a server tuned as the best."""
        return server_levels.slowness(self.serving)

    @property
    def own_rows(self) -> str:
        """The file that says how the reader's own server is set up; empty for none."""
        return Path(self.scenario.my_server).name
