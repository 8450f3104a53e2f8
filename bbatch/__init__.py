"""A paper on batch sizes that runs. `select_batch_size` and `measure_batch_size` serve any model and data."""

_EXPORTED = {"select_batch_size": "choosing.algorithm_2", "measure_batch_size": "choosing.by_measurement"}
__all__ = ["measure_batch_size", "select_batch_size"]


def __getattr__(name: str):
    """Import on first use: `import bbatch` alone loads nothing."""
    if name not in _EXPORTED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_EXPORTED[name]}", __name__), name)
