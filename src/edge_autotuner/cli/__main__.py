"""`python -m edge_autotuner.cli`: the command where no script is installed."""

from edge_autotuner.cli.main import run_process

if __name__ == "__main__":
    run_process()
