"""How fast, how good and how steady the capture stage is; results go to `benchmarks/results/capture_*.json`."""
