"""The provider of OpenID Connect by which people log in, beside keys. Authlib asks it, in the flow of codes with PKCE.

This module owns the conversation with it: where a person is sent, and who the answer says they are. What they may do is decided
by `guards.groups`, and their session is that of a key: `session`.

State, nonce and verifier wait in a signed cookie of their own. It lasts ten minutes, goes to /login alone, and is sent also
when the provider's page leads back here (SameSite=Lax). Only one login of a browser is on its way: the last that was begun.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from importlib.util import find_spec
from threading import BoundedSemaphore
from typing import Any, cast

from flask import Flask, Response, current_app, request
from flask import session as begun
from flask.sessions import SecureCookieSessionInterface

from telemetry.api.guards import discovery, groups
from telemetry.api.page import refusals
from telemetry.api.page.refusals import LoginError
from telemetry.settings import Settings, SettingsError

log = logging.getLogger(__name__)

LIBRARIES = ("authlib", "requests")
COOKIE = "telemetry_login"
CALLBACK = "/login/oidc/callback"
BEGUN_S = 600
# The clocks of the provider and of this machine may differ by as much.
LEEWAY_S = 60
# Of each question to the provider. A login has four at most.
PATIENCE_S = 5.0
# Logins that talk to the provider at once, of a process: while it is slow, threads are left for readers.
AT_ONCE = 2
TURN_S = 1.0
# What of the provider's metadata is used. The first says that it was loaded.
LOADED = ("_loaded_at", "issuer", *discovery.ENDPOINTS, "userinfo_endpoint")
# The claims that a person is called by, the first that there is.
NAMES = ("preferred_username", "email", "name", "sub")
MAX_NAME = 80


@dataclass(frozen=True, slots=True)
class Person:
    """Who somebody is, and the groups that they are in; None if the provider does not say."""

    name: str
    groups: tuple[str, ...] | None


class Provider:
    """The provider that the settings name. Nothing is asked before the first login."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        from authlib.integrations.flask_client import OAuth  # noqa: PLC0415 - the extra oidc has it

        # At DEBUG it would log the verifiers of codes.
        logging.getLogger("authlib").setLevel(logging.INFO)
        self._settings, self._issuer = settings, settings.oidc_issuer or ""
        self._turns = BoundedSemaphore(AT_ONCE)
        self._metadata: dict[str, Any] | None = None
        self._client: Any = OAuth(app).register(
            "oidc",
            client_id=settings.oidc_client_id,
            client_secret=settings.oidc_client_secret,
            server_metadata_url=discovery.url(self._issuer),
            client_kwargs={
                "scope": " ".join(settings.oidc_scopes),
                "code_challenge_method": "S256",
                "default_timeout": PATIENCE_S,
                # An access token is used at once, and one of a minute is as good as any.
                "leeway": 0,
            },
        )

    @property
    def address(self) -> str:
        """The address of the page, as browsers reach it."""
        return self._settings.page_url or f"{'https' if is_secure() else 'http'}://{request.host}"

    def send(self, then: str) -> Response:
        """Send a person to the provider. Raises LoginError."""
        with self._asking():
            self._load()
            begun.clear()
            begun.permanent = True
            begun["then"] = then
            sent: Response = self._client.authorize_redirect(f"{self.address}{CALLBACK}")
            sent.headers["Cache-Control"] = "no-store"
            return sent

    def answered(self) -> tuple[Person, str]:
        """Who the provider says this is, and the path that was asked for. Raises LoginError."""
        # What comes without a state of this browser says nothing, not even why a login failed.
        if not self._client.framework.get_state_data(begun, request.args.get("state", "")):
            raise LoginError(refusals.LOST)
        then = str(begun.get("then", "/"))
        with self._asking():
            claims = self._claims(self._load())
        begun.clear()
        name = next((text for text in map(claims.get, NAMES) if isinstance(text, str) and text.strip()), "nobody")
        shown = "".join(c if c.isprintable() else "?" for c in name)[:MAX_NAME]
        return Person(shown, groups.groups(claims, self._settings.oidc_claim)), then

    def _load(self) -> Mapping[str, Any]:
        """What the provider says of itself, judged. Raises LoginError."""
        if self._metadata is None:
            stated: Mapping[str, Any] = self._client.load_server_metadata()
            if fault := discovery.fault(stated, self._issuer):
                # It may be mended there by the next time.
                self._client.server_metadata = {}
                raise LoginError(f"Logins are not set up right: {fault}.")
            self._client.client_kwargs["token_endpoint_auth_method"] = discovery.secret_method(stated)
            # Authlib would take whatever else stands there for options of its own.
            self._client.server_metadata = self._metadata = {
                **{name: stated[name] for name in LOADED if name in stated},
                "id_token_signing_alg_values_supported": discovery.algorithms(stated),
            }
        return self._metadata

    def _claims(self, metadata: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the ID token says, which is checked; with what the provider tells beside it, if that is where groups are."""
        options = {
            "iss": {"essential": True, "value": self._issuer},
            "aud": {"essential": True, "value": self._settings.oidc_client_id},
        }
        token = self._client.authorize_access_token(claims_options=options, leeway=LEEWAY_S)
        claims: Mapping[str, Any] | None = token.get("userinfo")
        if claims is None:
            raise LoginError(refusals.UNNAMED)
        if groups.groups(claims, self._settings.oidc_claim) is None and "userinfo_endpoint" in metadata:
            more = self._client.userinfo(token=token)
            # OpenID Connect Core 1.0, section 5.3.2: of another subject it must not be used.
            if more.get("sub") == claims["sub"]:
                return {**more, **claims}
        return claims

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """While the provider is asked. What goes wrong becomes a sentence, and a line of the log without secrets."""
        if not self._turns.acquire(timeout=TURN_S):
            raise LoginError(refusals.BUSY)
        try:
            yield
        except LoginError as error:
            log.warning("a login by %s fails: %s", self._issuer, error)
            raise
        except Exception as error:
            sentence = refusals.sentence(error, self._issuer)
            if sentence is None:
                raise
            # The provider may have other keys by now.
            self._client.server_metadata.pop("jwks", None)
            log.warning("a login by %s fails: %s (%s)", self._issuer, sentence, refusals.kind(error))
            raise LoginError(sentence) from None
        finally:
            self._turns.release()


class _Begun(SecureCookieSessionInterface):
    """The cookie of a login that is on its way."""

    def get_cookie_secure(self, app: Flask) -> bool:
        """Only over TLS, where the page is asked for so."""
        return is_secure()


def check(settings: Settings) -> None:
    """Raise SettingsError where the settings name a provider, and the libraries are not installed that it is asked by."""
    if settings.oidc_issuer and (missing := [name for name in LIBRARIES if find_spec(name) is None]):
        raise SettingsError(f"TELEMETRY_OIDC_ISSUER needs {' and '.join(missing)}; install telemetry-pipeline[oidc]")


def install(app: Flask, settings: Settings) -> None:
    """Give an application its provider, if the settings name one. Raises SettingsError."""
    if not settings.oidc_issuer:
        return
    check(settings)
    app.extensions["provider"] = Provider(app, settings)
    # The same for all processes of the API, and of no use for anything else.
    key = blake2b((settings.oidc_client_secret or "").encode(), person=b"telemetry login")
    app.secret_key = key.digest()
    app.session_interface = _Begun()
    app.config |= {
        "SESSION_COOKIE_NAME": COOKIE,
        "SESSION_COOKIE_PATH": "/login",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_REFRESH_EACH_REQUEST": False,
        "PERMANENT_SESSION_LIFETIME": timedelta(seconds=BEGUN_S),
    }


def provider() -> Provider | None:
    """That of the application that answers this request."""
    return cast("Provider | None", current_app.extensions.get("provider"))


def is_secure() -> bool:
    """Whether the browser asked over TLS, of this server or of a proxy before it."""
    stated = request.headers.get("X-Forwarded-Proto", "").partition(",")[0].strip()
    return request.is_secure or stated == "https"
