from . import catalog, efficiencies, feasibility, hardware_parts, hourly_grids, schemas

__all__ = ["catalog", "efficiencies", "feasibility", "hardware_parts", "hourly_grids", "schemas"]
