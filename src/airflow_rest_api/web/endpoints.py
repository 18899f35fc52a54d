"""What the page tells about the endpoints of the 1.x plugin, made of their table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_rest_api.legacy.endpoints import ENDPOINTS
from airflow_rest_api.legacy.history import SINCE
from airflow_rest_api.legacy.router import PATH

if TYPE_CHECKING:
    from airflow_rest_api.legacy.endpoints import Argument, Endpoint


def described(root: str) -> list[dict[str, Any]]:
    """
    Return the endpoints.

    :param root: where the plugin is, as the browser sees it
    """
    return [_described(endpoint, root) for endpoint in ENDPOINTS]


def _described(endpoint: Endpoint, root: str) -> dict[str, Any]:
    return {
        "name": endpoint.name,
        "description": endpoint.description,
        "runs": endpoint.runs,
        "since": SINCE[endpoint.name],
        "methods": list(endpoint.methods),
        "background": endpoint.background,
        "example": _example(endpoint, root),
        "arguments": [
            {
                "name": argument.name,
                "description": argument.description,
                "required": argument.required,
                "check_box": argument.check_box,
                "file": argument.file,
                "secret": argument.secret,
            }
            for argument in endpoint.arguments
        ],
    }


def _example(endpoint: Endpoint, root: str) -> str:
    # In the body, where it is: a query is in every log on the way.
    shown = [argument for argument in endpoint.arguments if not argument.file and not argument.secret]
    return f"{root}{PATH}?api={endpoint.name}" + "".join(f"&{_example_value(one)}" for one in shown)


def _example_value(argument: Argument) -> str:
    if argument.check_box:
        return argument.name
    return f"{quote(argument.name)}={{{argument.name.upper()}{'' if argument.required else ': optional'}}}"
