"""How real the simulated world is to real detectors and pose models, and how fast it is drawn."""
