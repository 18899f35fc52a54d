"""
What is set right in the engine's child before a command of Airflow's runs there.

The command line is made for a person at a terminal of the machine: it acts as the user of the operating
system, and takes for granted that it alone works on the DAG. `setup` is what a child calls; each other
module is one such matter.
"""

from __future__ import annotations

import pkgutil

MODULES = tuple(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__))
"""For the warm parent to import ahead."""
