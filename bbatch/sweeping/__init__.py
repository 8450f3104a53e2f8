"""Run what is missing: one run in one process, many on this machine or on a Dask cluster, and records verified."""
