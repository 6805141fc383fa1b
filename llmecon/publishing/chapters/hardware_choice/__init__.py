"""How the chapter on hardware choice shows its study."""
