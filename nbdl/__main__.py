"""`python -m nbdl`: the command line."""

from nbdl.cli import main

if __name__ == "__main__":
    main()
