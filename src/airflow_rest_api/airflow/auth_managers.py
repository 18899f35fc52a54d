"""Which auth manager is in use: by name, so that one that is not need not be importable."""

from __future__ import annotations

SIMPLE = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"


def is_a(manager: object, name: str) -> bool:
    """Return whether an auth manager is of the class of this name, or of one made from it."""
    return any(_name(cls) == name for cls in type(manager).__mro__)


def is_just(manager: object, name: str) -> bool:
    """Return whether an auth manager is of the class of this name itself."""
    return _name(type(manager)) == name


def _name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
