"""What a person can cause: input that can't be used, and packages that aren't installed."""


class InputError(ValueError):
    """Input that can't be used; the message is one line: what is wrong, and what would be right."""


def absent(error: ModuleNotFoundError) -> str:
    """One line on a package that isn't installed.

    Args:
        error: what its import raised.
    """
    name = (error.name or "").partition(".")[0]
    return f"this takes the package {name}, which comes with the book: pip install 'llmecon[book]'"
