"""How the chapter on scaling laws shows its study."""
