"""Whether people can log in by the provider that the settings name: what it says of itself, its keys, and our client there.

`requests` asks, as in a login, so that certificates, proxies and names are met here as they are there. What the answers mean is
decided by pure functions, of which the API has its own (`api.guards.discovery`).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from telemetry.api.guards import discovery
from telemetry.api.page.provider import CALLBACK, LIBRARIES
from telemetry.doctor.finding import Judgement, failed, ok
from telemetry.settings import Settings

PATIENCE_S = 3.0
# The kinds of keys by which ID tokens are signed.
KEY_TYPES = ("RSA", "EC", "OKP")


class Logins:
    """The provider, asked by one check after another. `issuer` is the first."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._issuer = settings, settings.oidc_issuer or ""
        self._document: Mapping[str, Any] = {}

    def libraries(self) -> Judgement:
        """Whether Authlib is there, by which people log in."""
        missing = [name for name in LIBRARIES if find_spec(name) is None]
        if missing:
            return failed(
                f"not installed: {', '.join(missing)}", "install the wheel with the extra [oidc], or use the central image"
            )
        return ok("Authlib is installed")

    def issuer(self) -> Judgement:
        """Whether the provider says of itself what a login needs."""
        place = discovery.url(self._issuer)
        try:
            self._document = _fetched(place)
        except (OSError, ValueError) as error:
            return _unfetched(place, error, "see TELEMETRY_OIDC_ISSUER, and whether this machine may reach it")
        return judge_document(self._document, self._issuer)

    def keys(self) -> Judgement:
        """Whether it publishes keys."""
        place = str(self._document["jwks_uri"])
        try:
            document = _fetched(place)
        except (OSError, ValueError) as error:
            return _unfetched(place, error, "see whether this machine may reach it")
        return judge_keys(document)

    def client(self) -> Judgement:
        """Whether it knows our client and its secret: it is shown a code that it never gave."""
        import requests  # noqa: PLC0415 - the extra oidc has it

        client, secret = self._settings.oidc_client_id or "", self._settings.oidc_client_secret or ""
        form = {
            "grant_type": "authorization_code",
            "code": secrets.token_urlsafe(16),
            "code_verifier": secrets.token_urlsafe(32),
        }
        form["redirect_uri"] = f"{self._settings.page_url or 'https://localhost'}{CALLBACK}"
        is_basic = discovery.secret_method(self._document) == "client_secret_basic"
        if not is_basic:
            form |= {"client_id": client, "client_secret": secret}
        place = str(self._document["token_endpoint"])
        try:
            answer = requests.post(place, form, auth=(client, secret) if is_basic else None, timeout=PATIENCE_S)
            error = answer.json().get("error")
        except (OSError, ValueError, AttributeError) as wrong:
            return _unfetched(place, wrong, "see whether this machine may reach it")
        return judge_client(error, client)


def judge_document(document: Any, issuer: str) -> Judgement:
    """What the provider says of itself."""
    if fault := discovery.fault(document, issuer):
        says, _, mend = fault.partition(": ")
        return failed(says, mend)
    return ok(f"{issuer} offers what a login needs")


def judge_keys(document: Any) -> Judgement:
    """The keys by which its tokens are checked."""
    keys = document.get("keys") if isinstance(document, Mapping) else None
    listed = keys if isinstance(keys, list) else []
    usable = [
        key for key in listed if isinstance(key, Mapping) and key.get("kty") in KEY_TYPES and key.get("use", "sig") == "sig"
    ]
    if not usable:
        return failed(
            "the provider publishes no key by which its tokens could be checked", "let it sign ID tokens by RS256 or ES256"
        )
    return ok(f"it publishes {len(usable)} keys" if len(usable) > 1 else "it publishes a key")


def judge_client(error: Any, client: str) -> Judgement:
    """What it answers to a client that shows a made-up code: that of a client that it knows is what is wrong."""
    if error == "invalid_grant":
        return ok(f"it knows the client {client} and its secret")
    if error in ("invalid_client", "unauthorized_client"):
        return failed(
            f"it does not accept the client {client}: {error}",
            "give TELEMETRY_OIDC_CLIENT_ID and TELEMETRY_OIDC_CLIENT_SECRET as they are registered there",
        )
    return ok(f"it does not say whether it knows the client {client}: it answers {str(error)[:80]}")


def _fetched(place: str) -> Any:
    """A document. Raises OSError, of which the errors of requests are, and ValueError for what is no JSON."""
    import requests  # noqa: PLC0415 - the extra oidc has it

    answer = requests.get(place, timeout=PATIENCE_S)
    answer.raise_for_status()
    return answer.json()


def _unfetched(place: str, error: Exception, mend: str) -> Judgement:
    return failed(f"{place} cannot be read: {error}", mend)
