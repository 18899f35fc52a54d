"""
What each Python of a stack reads first (https://docs.python.org/3/library/site.html).

Airflow makes a million objects as it starts: a fifth of that time goes into looking for garbage among them.
"""

from __future__ import annotations

import gc

gc.set_threshold(100_000, 20, 100)
