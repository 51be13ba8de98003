"""`python -m pytest_tfmem`: the command `tfmem`, with the current directory on the path."""

from pytest_tfmem.cli import main

if __name__ == "__main__":
    main()
