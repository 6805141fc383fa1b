"""How large a model is worth training: the study of the chapter on scaling laws."""
