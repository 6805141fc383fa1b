"""What is timed, against what."""
