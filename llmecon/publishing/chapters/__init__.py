"""How chapters show their studies: live panels, and tables in words."""
