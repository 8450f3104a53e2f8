"""Run what is missing, on this machine or on a Dask cluster, and verify what is recorded."""
