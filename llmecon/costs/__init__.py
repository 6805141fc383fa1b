"""Money and carbon: renting, owning, APIs, emissions, manufacture, and all of it per request.

>>> from llmecon import catalog, costs
>>> from llmecon.physics import Energy
>>> a_kwh = Energy(device=3.6e6, host=0.0, facility=0.0)
>>> for grid in ("fra", "pol"):
...     print(f"{grid}: {1e3 * costs.operational_carbon(a_kwh, catalog.site(grid)):.0f} g CO2e")
fra: 41 g CO2e
pol: 589 g CO2e
"""

from llmecon import lazy

__getattr__, __dir__, __all__ = lazy.attach(__name__, __file__)
