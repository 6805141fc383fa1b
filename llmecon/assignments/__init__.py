"""Assignments: a notebook for each student of a roster, and the marks of what comes back."""
