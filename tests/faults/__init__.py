"""Faults that a sweep must survive: briefly in `make test`, at length (50 kills each) in `make faults`."""
