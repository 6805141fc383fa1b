"""Exercises by chapter: keys and mistakes, each computed from the chapter's study."""
