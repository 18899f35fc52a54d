"""What Keycloak decides, in its place: the token endpoint that its auth manager asks for every permission."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

REALM = "tests"
DECISIONS = f"/realms/{REALM}/protocol/openid-connect/token"


class Keycloak(ThreadingHTTPServer):
    """
    Answers as Keycloak 26 does whether the bearer of a token has a permission.

    https://www.keycloak.org/docs/latest/authorization_services/#_service_obtaining_permissions

    :ivar granted: access tokens, with the permissions that each has; `*` is every one
    :ivar asked: the permissions that were asked for
    """

    def __init__(self) -> None:
        self.granted: dict[str, set[str]] = {}
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Keycloak:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Keycloak

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        permission = form.get("permission", [""])[0]
        self.server.asked.append(permission)
        if self.path != DECISIONS or token not in self.server.granted:
            self._answer(401, {"error": "invalid_grant", "error_description": "Invalid bearer token"})
        elif self.server.granted[token] & {"*", permission}:
            self._answer(200, {"result": True})
        else:
            self._answer(403, {"error": "access_denied", "error_description": "not_authorized"})

    def _answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
