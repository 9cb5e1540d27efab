"""Repos with known truth, drawn from an index: unlike `tests.variants` they need not run, so every axis is free.

`repos()` lists them; `Generated.build(folder)` writes one; `measure` compares what porter reads with the truth.
"""
