"""Why a login by a provider failed, in sentences that name the mend. They hold no code, token or secret.

Authlib raises errors of its own, of its signatures (joserfc), and of requests. All three come with the extra `oidc`.
"""

from __future__ import annotations

LOST = "This login was begun in another browser, or more than ten minutes ago. Log in again."
BUSY = "Others are logging in just now, and the provider is slow. Try again in a moment."
UNNAMED = (
    "The provider did not say who you are: it sent no ID token. Let an operator see that its client is one of OpenID Connect."
)
CLIENT = (
    "The provider does not accept this page: TELEMETRY_OIDC_CLIENT_ID and TELEMETRY_OIDC_CLIENT_SECRET must be those of "
    "the client that is registered there."
)
USED = "The provider's answer was used already, or came too late. Log in again."
CLOCKS = "The provider's token has expired or is of a time to come: see that the clocks of both machines are right."
KEYS = "The provider's token is signed by none of its keys, so it is not believed. Log in again, and then tell an operator."
# What is said of a claim of the ID token that is not as it must be.
CLAIMS = {
    "nonce": "The provider's token is of another login. Log in again.",
    "aud": "The provider's token is for another client than TELEMETRY_OIDC_CLIENT_ID, so it is not believed.",
    "azp": "The provider's token is for another client than TELEMETRY_OIDC_CLIENT_ID, so it is not believed.",
    "iss": "The provider's token is of another issuer than TELEMETRY_OIDC_ISSUER, so it is not believed.",
    "exp": CLOCKS,
    "iat": CLOCKS,
    "nbf": CLOCKS,
}
# Codes of OAuth (RFC 6749, 4.1.2.1 and 5.2).
CODES = {
    "access_denied": "The provider did not let you in. Ask those who run it to give you this application.",
    "invalid_client": CLIENT,
    "unauthorized_client": CLIENT,
    "invalid_grant": USED,
    "invalid_scope": "The provider does not know one of the scopes that are asked for: see TELEMETRY_OIDC_SCOPES.",
    "mismatching_state": LOST,
}
MAX_CHARACTERS = 200


class LoginError(Exception):
    """A login that came to nothing. Its text is for the person who tried."""


def sentence(error: Exception, issuer: str) -> str | None:
    """What a person is told of an error; None if it is none of a provider."""
    from authlib.integrations.base_client import OAuthError  # noqa: PLC0415 - the extra oidc has it
    from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError, MissingClaimError  # noqa: PLC0415
    from requests import RequestException  # noqa: PLC0415

    match error:
        case OAuthError():
            return CODES.get(error.error) or f"The provider refuses the login: {_shown(error)}."
        case ExpiredTokenError():
            said = CLOCKS
        case InvalidClaimError() | MissingClaimError():
            said = CLAIMS.get(error.claim) or f"The provider's token has no {error.claim} that can be believed."
        case JoseError():
            said = KEYS
        case RequestException():
            said = f"{issuer} does not answer as a provider does. Try again; `telemetry doctor --role api` says more."
        case ValueError() | KeyError() | TypeError() | RuntimeError():
            said = f"{issuer} answers what cannot be read. `telemetry doctor --role api` says more."
        case _:
            return None
    return said


def kind(error: Exception) -> str:
    """An error in the log: its type, and what OAuth says of it. Texts of others may show a URL with a code in it."""
    return f"{type(error).__name__} {_shown(error)}".rstrip()


def _shown(error: Exception) -> str:
    texts = (str(getattr(error, name, None) or "") for name in ("error", "description"))
    shown = ": ".join(text for text in texts if text)
    return "".join(c if c.isprintable() else "?" for c in shown)[:MAX_CHARACTERS]
