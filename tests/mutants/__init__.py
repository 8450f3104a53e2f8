"""Faults seeded into the package's own text, one at a time: does a test notice? `make mutants`, or
`python -m tests.mutants --help`."""
