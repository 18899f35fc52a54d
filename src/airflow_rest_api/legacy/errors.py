"""What can be wrong with a request to a 1.x endpoint."""

from __future__ import annotations


class Refusal(Exception):
    """
    The request is answered with an error before any command ran.

    :param message: one sentence, the `output` of the envelope
    :param status: HTTP status
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
