"""What the chapter on the accelerator that would suit draws, tabulates and lets a reader try."""
