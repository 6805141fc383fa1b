"""What to run on, and how much of it: the study of the chapter on hardware choice."""
