"""How the chapter on tokenomics shows its study."""
