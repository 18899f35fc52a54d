"""
What runs in the engine's child process for DAG files: the code of DAG authors is imported nowhere else.

Each module has a function ``main(argv)`` that takes one argument, an order in JSON.
"""

from __future__ import annotations

import pkgutil

MODULES = tuple(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__))
"""For the warm parent to import ahead."""
