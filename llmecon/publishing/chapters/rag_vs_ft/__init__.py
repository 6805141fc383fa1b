"""How the chapter on retrieval and fine-tuning shows its study."""
