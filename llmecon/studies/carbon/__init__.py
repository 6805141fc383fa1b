"""What one answer emits: the study of the chapter on carbon."""
