"""`python -m calando`: the command, where its script is not on the path."""

from calando.cli.main import main

if __name__ == "__main__":
    main()
