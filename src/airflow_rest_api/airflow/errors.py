"""What a host refuses."""

from __future__ import annotations


class InvalidToken(Exception):
    """
    A token that stands for nobody.

    :param message: meant for the client
    :param fault: what PyJWT found wrong
    """

    def __init__(self, message: str, fault: Exception | None = None) -> None:
        super().__init__(message)
        self.fault = fault


class NoUser(InvalidToken):
    """A good token, of a user who does not exist any more or is no longer active."""


class Revoked(InvalidToken):
    """A token that was taken back, such as by signing out."""


class NotAnAccessToken(InvalidToken):
    """A refresh token where an access token is asked for."""


class NoNames(Exception):
    """The auth manager in use cannot find a user by name; the message is meant for the server's log."""


class Undecryptable(Exception):
    """The key with which something was encrypted is not among those that Airflow has."""
