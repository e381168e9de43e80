"""`python -m edge_autotuner.cli`: the command where no script is installed."""

from edge_autotuner.cli.main import main

if __name__ == "__main__":
    main()
