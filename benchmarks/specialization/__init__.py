"""How good specialization makes an edge model, what each part of it is worth, what it forgets, and how long it takes.

Everything is measured in pieces of some minutes, each stored at once in `benchmarks/results/specialization.json`.
"""
