"""How far predictions are from measurements: the study of the chapter on validation."""
