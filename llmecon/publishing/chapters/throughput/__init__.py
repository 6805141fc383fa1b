"""How the chapter on throughput shows its study."""
