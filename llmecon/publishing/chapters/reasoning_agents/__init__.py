"""What the chapter on reasoning and agents shows."""
