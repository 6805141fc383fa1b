"""How the chapter on carbon shows its study."""
