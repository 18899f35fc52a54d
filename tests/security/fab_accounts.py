"""Makes users and roles in Flask-AppBuilder, told on standard input: run with a stack's environment."""

from __future__ import annotations

import json
import sys
from typing import Any

from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from airflow.providers_manager import ProvidersManager


def main() -> None:
    """Make the roles, with pairs of action and resource, and the users that lack, with role and password."""
    wanted = json.load(sys.stdin)
    # Of itself Airflow knows the provider's options since 3.2.
    manager: Any = ProvidersManager
    manager().initialize_providers_configuration()
    with get_application_builder() as appbuilder:
        security = appbuilder.sm
        security.sync_roles()
        for name, permissions in wanted["roles"].items():
            role = security.add_role(name)
            for action, resource in permissions:
                security.add_permission_to_role(role, security.create_permission(action, resource))
        for name, (role, password) in wanted["users"].items():
            if security.find_user(name) is not None:
                continue
            found = security.find_role(role)
            assert security.add_user(name, name, name, f"{name}@example.org", found, password), name


if __name__ == "__main__":
    main()
