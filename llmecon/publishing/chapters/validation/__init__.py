"""How the chapter on validation shows its study."""
