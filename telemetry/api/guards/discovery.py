"""What a provider of OpenID Connect says of itself, and whether logins can be built on it. Pure.

https://openid.net/specs/openid-connect-discovery-1_0.html has the document. `telemetry doctor` judges by this, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
# Signatures that the provider alone can make. By the others whoever can check one can make one, or anybody.
ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519", "Ed448"),
)
# OpenID Connect Discovery 1.0, section 3: what a provider that lists none can do.
USUAL_ALGORITHMS = ("RS256",)


def url(issuer: str) -> str:
    """Where an issuer describes itself."""
    return f"{issuer.rstrip('/')}/.well-known/openid-configuration"


def fault(document: Any, issuer: str) -> str | None:
    """What is wrong with what an issuer says of itself, and the mend; None for nothing."""
    if not isinstance(document, Mapping):
        return f"{url(issuer)} is no document of a provider: give TELEMETRY_OIDC_ISSUER as the provider's pages show it"
    if document.get("issuer") != issuer:
        stated = str(document.get("issuer"))[:200]
        return f"the provider calls itself {stated!r}, not {issuer!r}: give TELEMETRY_OIDC_ISSUER exactly so"
    if fault := next(filter(None, (_of_place(name, document.get(name), issuer) for name in ENDPOINTS)), None):
        return fault
    if not algorithms(document):
        return "the provider signs by no key of its own: let it sign ID tokens with RS256 or ES256"
    methods = document.get("code_challenge_methods_supported")
    if isinstance(methods, list) and methods and "S256" not in methods:
        return "the provider does not know PKCE with S256: switch that on there"
    return None


def _of_place(name: str, place: Any, issuer: str) -> str | None:
    if not isinstance(place, str):
        return f"the provider names no {name}: it must offer the flow of codes and publish its keys"
    if issuer.startswith("https://") and not place.startswith("https://"):
        return f"the provider's {name} is not https://: what is sent there could be read on the way; mend it there"
    return None


def algorithms(document: Mapping[str, Any]) -> list[str]:
    """The algorithms by which its ID tokens may be signed."""
    return [name for name in _texts(document, "id_token_signing_alg_values_supported", USUAL_ALGORITHMS) if name in ALGORITHMS]


def secret_method(document: Mapping[str, Any]) -> str:
    """How the client's secret is shown at the token endpoint."""
    methods = _texts(document, "token_endpoint_auth_methods_supported", ("client_secret_basic",))
    return "client_secret_basic" if "client_secret_basic" in methods else "client_secret_post"


def _texts(document: Mapping[str, Any], name: str, usual: Sequence[str]) -> Sequence[str]:
    stated = document.get(name)
    return [text for text in stated if isinstance(text, str)] if isinstance(stated, list) and stated else usual
