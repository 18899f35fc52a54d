"""
What runs in the engine's child process for the 1.x endpoints: no other module of `legacy` works with Airflow.

An entry point is a function made by `messages.ordered`: its only word is an order, a JSON object. What it
prints is the command's output; what it has for the server (refused, an answer, a warning) goes through
`messages`.
"""

from __future__ import annotations

import pkgutil

MODULES = tuple(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__))
"""For the warm parent to import ahead."""
