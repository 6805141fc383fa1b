"""How the chapter on hybrid futures shows its study."""
