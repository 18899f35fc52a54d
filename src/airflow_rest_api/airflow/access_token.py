"""What is wrong with an access token, beyond and after what Airflow says."""

from __future__ import annotations

from typing import Any

from airflow_rest_api.airflow import refresh_token
from airflow_rest_api.errors import InvalidToken, NotAnAccessToken, NoUser, Revoked

WRONG_TYPE = "Only access tokens are allowed"
NOT_THIS = "This is a refresh token; an access token is needed."


def check(token: str) -> None:
    """Raise what PyJWT would, for a token that Airflow has verified and would never have issued itself."""
    from jwt import InvalidTokenError, MissingRequiredClaimError

    claims = unverified(token)
    if claims.get("type") == refresh_token.TYPE:
        raise InvalidTokenError(WRONG_TYPE)
    if not claims.get("jti"):
        # Airflow's own have one, and only such a one can be revoked.
        raise MissingRequiredClaimError("jti")


def refusal(token: str, error: Exception) -> InvalidToken:
    """
    Return the refusal of a token that Airflow did not take.

    :param error: Airflow's, or that of `check`
    """
    from jwt import ExpiredSignatureError, InvalidTokenError

    if str(error) == WRONG_TYPE:
        return NotAnAccessToken(NOT_THIS)
    if refresh_token.claims_to_be(token):
        try:
            refresh_token.read(token)
        except InvalidTokenError as found:
            error = found
        else:
            return NotAnAccessToken(NOT_THIS)
    if str(error) == "Token has been revoked":  # BaseAuthManager.get_user_from_token
        return Revoked("The token has been revoked.")
    if type(error) is InvalidTokenError and isinstance(error.__context__, ValueError):
        # What BaseAuthManager makes of an auth manager that does not find the user.
        return NoUser("The token's user does not exist or is not active.")
    expired = isinstance(error, ExpiredSignatureError)
    return InvalidToken("The token has expired." if expired else "The token is not valid.", error)


def expires_at(token: str) -> float | None:
    """
    Return when a token that was verified ends, in seconds since 1970; None where it says nothing.

    The tokens of an auth manager that verifies its own need not be JSON Web Tokens.
    """
    from jwt import InvalidTokenError

    try:
        end = unverified(token).get("exp")
    except InvalidTokenError:
        return None
    return float(end) if isinstance(end, (int, float)) else None


def unverified(token: str) -> dict[str, Any]:
    """Return what a token says of itself."""
    from jwt import decode

    claims: dict[str, Any] = decode(token, options={"verify_signature": False})
    return claims
