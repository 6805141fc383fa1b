"""`python -m llmecon` is the `llmecon` command."""

from llmecon.cli import main

if __name__ == "__main__":
    main()
