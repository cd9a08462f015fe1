"""What a provider says of itself, and whether logins can be built on it."""

from __future__ import annotations

from typing import Any

import pytest

from telemetry.api.guards import discovery

ISSUER = "https://login.example.org/realms/main"
SOUND = {
    "issuer": ISSUER,
    "authorization_endpoint": "https://login.example.org/authorize",
    "token_endpoint": "https://login.example.org/token",
    "jwks_uri": "https://keys.example.org/jwks",
}


def test_where_an_issuer_describes_itself() -> None:
    assert discovery.url(ISSUER) == discovery.url(f"{ISSUER}/") == f"{ISSUER}/.well-known/openid-configuration"


def test_the_least_that_a_provider_has_to_say() -> None:
    assert discovery.fault(SOUND, ISSUER) is None
    assert discovery.algorithms(SOUND) == ["RS256"]
    assert discovery.secret_method(SOUND) == "client_secret_basic"
    assert discovery.secret_method({"token_endpoint_auth_methods_supported": ["client_secret_post"]}) == "client_secret_post"
    assert discovery.algorithms({"id_token_signing_alg_values_supported": ["none", "HS256", "ES256"]}) == ["ES256"]


@pytest.mark.parametrize(
    ("document", "issuer", "says"),
    [
        ("<html>", ISSUER, "is no document of a provider"),
        (SOUND, f"{ISSUER}/", "give TELEMETRY_OIDC_ISSUER exactly so"),
        ({**SOUND, "token_endpoint": None}, ISSUER, "names no token_endpoint"),
        ({**SOUND, "jwks_uri": "http://keys.example.org/jwks"}, ISSUER, "jwks_uri is not https://"),
        ({**SOUND, "id_token_signing_alg_values_supported": ["none"]}, ISSUER, "let it sign ID tokens with RS256"),
        ({**SOUND, "code_challenge_methods_supported": ["plain"]}, ISSUER, "switch that on there"),
    ],
)
def test_what_is_wrong_comes_with_its_mend(document: Any, issuer: str, says: str) -> None:
    fault = discovery.fault(document, issuer)
    assert fault
    assert says in fault
