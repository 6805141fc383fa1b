"""Who should answer, and where: the study of the chapter on hybrid futures."""
