"""A paper on batch sizes that runs. `recommend` and `select_batch_size` serve any model and data."""

_EXPORTED = {"recommend": "choosing.recommend", "select_batch_size": "choosing.selecting"}
__all__ = ["recommend", "select_batch_size"]


def __getattr__(name: str):
    """Import on first use: `import bbatch` alone loads nothing."""
    if name not in _EXPORTED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_EXPORTED[name]}", __name__), name)
