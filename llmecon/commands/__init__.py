"""Groups of commands that would crowd `llmecon.cli`."""
