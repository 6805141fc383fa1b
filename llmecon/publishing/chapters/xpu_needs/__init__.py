"""How the chapter on numbers of accelerators shows its study."""
