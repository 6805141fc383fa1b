"""The one error that a person's input can cause."""


class InputError(ValueError):
    """Input that can't be used; the message is one line: what is wrong, and what would be right."""
