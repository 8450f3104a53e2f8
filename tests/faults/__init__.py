"""Faults that a sweep must survive. Short form in `make test`; long form (50 kills of each kind): `make
faults`."""
