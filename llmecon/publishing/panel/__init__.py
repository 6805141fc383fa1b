"""Live panels: a function of JAX that a page computes anew as a reader moves its controls."""
