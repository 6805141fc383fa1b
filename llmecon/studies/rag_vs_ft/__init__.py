"""Retrieval or fine-tuning, what each costs and how often it is right: the chapter's study."""
