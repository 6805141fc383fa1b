"""The study of accelerators that would suit a model, were they free."""
