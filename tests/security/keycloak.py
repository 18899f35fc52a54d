"""What Keycloak says, in its place: the endpoints that its auth manager asks, for logins and decisions."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

REALM = "tests"
TOKEN = f"/realms/{REALM}/protocol/openid-connect/token"
USER = f"/realms/{REALM}/protocol/openid-connect/userinfo"


class Keycloak(ThreadingHTTPServer):
    """
    Answers as Keycloak 26 does whether the bearer of a token has a permission, and whose a password is.

    https://www.keycloak.org/docs/latest/authorization_services/#_service_obtaining_permissions

    :ivar granted: access tokens, with the permissions that each has; `*` is every one
    :ivar asked: the permissions that were asked for
    :ivar logins: names and passwords, with the access token that each gets
    """

    def __init__(self) -> None:
        self.granted: dict[str, set[str]] = {}
        self.asked: list[str] = []
        self.logins: dict[tuple[str, str], str] = {}
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
        if form.get("grant_type") == ["password"]:
            self._login(form["username"][0], form["password"][0])
            return
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        permission = form.get("permission", [""])[0]
        self.server.asked.append(permission)
        if self.path != TOKEN or token not in self.server.granted:
            self._answer(401, {"error": "invalid_grant", "error_description": "Invalid bearer token"})
        elif self.server.granted[token] & {"*", permission}:
            self._answer(200, {"result": True})
        else:
            self._answer(403, {"error": "access_denied", "error_description": "not_authorized"})

    def do_GET(self) -> None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        names = [name for (name, _), access in self.server.logins.items() if access == token]
        if self.path != USER or not names:
            self._answer(401, {"error": "invalid_token", "error_description": "Token verification failed"})
        else:
            self._answer(200, {"sub": names[0], "preferred_username": names[0]})

    def _login(self, name: str, password: str) -> None:
        access = self.server.logins.get((name, password))
        if access is None:
            self._answer(401, {"error": "invalid_grant", "error_description": "Invalid user credentials"})
        else:
            self._answer(200, {"access_token": access, "refresh_token": "of-the-session"})

    def _answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
