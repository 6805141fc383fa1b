"""The chapter on reasoning and agents: what a task costs."""
