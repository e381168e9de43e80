"""An example of another distribution that extends Edge AutoTuner: see its pyproject.toml."""
