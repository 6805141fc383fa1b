"""How many accelerators a training run and a service take, and what they cost and emit."""
