"""Additions of a reader: modules that BBATCH_EXTENSIONS names, imported before anything runs.

Such a module adds entries to `config.DATASETS`, `models.NETWORKS`, `optimizers.OPTIMIZERS` and so on; see
CONTRIBUTING.md. Every process of a sweep imports it, so that all know the same names.
"""

import importlib
import os

from .errors import BadInput


def import_named() -> None:
    """Import what BBATCH_EXTENSIONS names. Raises `BadInput` for a module that cannot be imported."""
    for name in filter(None, os.environ.get("BBATCH_EXTENSIONS", "").split(",")):
        try:
            importlib.import_module(name.strip())
        except Exception as error:  # a reader's own code may raise anything
            why = f"{type(error).__name__}: {error}"
            raise BadInput(
                f"BBATCH_EXTENSIONS names {name.strip()!r}, which cannot be imported ({why})."
            ) from error
