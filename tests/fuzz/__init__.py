"""Hostile bytes in quantity: `python -m tests.fuzz --minutes 5`.

mutation.py changes real captures, payloads and streams at random (seeded) and runs them through the compiled kernels
with bounds checks; coverage.py has atheris search for bytes that take new ways through the interpreted ones. Both
check what checks.py says must hold of any bytes.
"""
