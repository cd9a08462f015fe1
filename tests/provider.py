"""A small provider of OpenID Connect, in a process of its own: `python -m tests.provider CLIENT SECRET REDIRECT_URI`.

It prints its port. It holds a client to what it must do: its secret, the address it is registered with, PKCE, a code once.
A document sent by PUT to /next says who comes next, and by which fault their token is not as it must be.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

ALICE = {"sub": "u1", "preferred_username": "alice", "groups": ["gpu-users"]}
PAGE = """<!doctype html><html lang="en"><title>Provider</title><link rel="icon" href="data:,">
<form method="post"><button>Sign in as alice</button></form></html>"""


def key(name: str) -> RSAKey:
    """A new key under a name."""
    return RSAKey.generate_key(2048, {"kid": name, "use": "sig", "alg": "RS256"})


@dataclass(slots=True)
class State:
    """What the provider knows of its client, and of those who come."""

    client: str
    secret: str
    redirect_uri: str
    issuer: str = ""
    key: RSAKey = field(default_factory=lambda: key("first"))
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=lambda: dict(ALICE))
    userinfo: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    fault: str = ""

    def described(self) -> dict[str, Any]:
        """What it says of itself."""
        places = {
            f"{name}_endpoint": f"{self.issuer}/{path}"
            for name, path in (("authorization", "authorize"), ("token", "token"), ("userinfo", "userinfo"))
        }
        algorithms = ["RS256", "HS256", "none"]
        described = {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/jwks", **places}
        return {
            **described,
            "id_token_signing_alg_values_supported": algorithms,
            "code_challenge_methods_supported": ["S256"],
            **self.metadata,
        }

    def token(self, form: dict[str, str], basic: str) -> tuple[int, dict[str, Any]]:
        """What a code is exchanged for."""
        expected = base64.b64encode(f"{self.client}:{self.secret}".encode()).decode()
        if basic != f"Basic {expected}":
            return 401, {"error": "invalid_client"}
        flow = self.codes.pop(form.get("code", ""), None)
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).decode().rstrip("=")
        if not flow or flow["code_challenge"] != challenge or form.get("redirect_uri") != flow["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        access = secrets.token_urlsafe()
        self.tokens[access] = {"sub": self.claims["sub"], **self.userinfo}
        answer = {"access_token": access, "token_type": "Bearer", "expires_in": 60}
        return 200, answer if self.fault == "no id token" else {**answer, "id_token": self.id_token(flow["nonce"])}

    def id_token(self, nonce: str) -> str:
        """A token that says who somebody is, or one that must not be believed."""
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": self.client, "iat": now, "exp": now + 60, "nonce": nonce, **self.claims}
        faults: dict[str, dict[str, Any]] = {
            "nonce": {"nonce": "another"},
            "no nonce": {"nonce": None},
            "audience": {"aud": "another"},
            "audience of ours": {"aud": ["another"], "azp": self.client},
            "issuer": {"iss": "https://another.example.org"},
            "expired": {"exp": now - 600, "iat": now - 1200},
            "to come": {"iat": now + 600},
        }
        claims |= faults.get(self.fault, {})
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.fault == "none":
            parts = ({"alg": "none", "kid": "first"}, claims)
            return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."
        if self.fault == "shared secret":
            return jwt.encode(
                {"alg": "HS256", "kid": self.key.kid}, claims, OctKey.import_key(self.secret), algorithms=["HS256"]
            )
        made = {"unknown key": "unknown", "forged": "first"}.get(self.fault)
        signing = key(made) if made else self.key
        return jwt.encode({"alg": "RS256", "kid": signing.kid}, claims, signing)


class Handler(BaseHTTPRequestHandler):
    """Answers for the provider."""

    state: State

    def do_GET(self) -> None:
        place = urlsplit(self.path)
        match place.path:
            case "/.well-known/openid-configuration":
                self._json(200, self.state.described())
            case "/jwks":
                self._json(200, {"keys": [self.state.key.as_dict(private=False)]})
            case "/userinfo":
                held = self.state.tokens.get(self.headers.get("Authorization", "").removeprefix("Bearer "))
                self._json(200 if held else 401, held or {})
            case "/authorize":
                asked = dict(parse_qsl(place.query))
                known = (asked.get("client_id"), asked.get("redirect_uri")) == (self.state.client, self.state.redirect_uri)
                self._answer(200 if known else 400, "text/html", (PAGE if known else "unknown client or address").encode())
            case _:
                self._answer(404, "text/plain", b"")

    def do_POST(self) -> None:
        place, body = urlsplit(self.path), self._body()
        if place.path == "/token":
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            self._json(*self.state.token(form, self.headers.get("Authorization", "")))
            return
        asked = dict(parse_qsl(place.query))
        given = {"state": asked["state"]}
        if self.state.fault == "denied":
            given |= {"error": "access_denied"}
        else:
            given |= {"code": secrets.token_urlsafe()}
            self.state.codes[given["code"]] = asked
        self.send_response(302)
        self.send_header("Location", f"{asked['redirect_uri']}?{urlencode(given)}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_PUT(self) -> None:
        told = json.loads(self._body())
        if told.pop("new key", False):
            self.state.key = key("second")
        for name, value in {"fault": "", "claims": dict(ALICE), "userinfo": {}, "metadata": {}, **told}.items():
            setattr(self.state, name, value)
        self._json(200, {})

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _json(self, status: int, document: dict[str, Any]) -> None:
        self._answer(status, "application/json", json.dumps(document).encode())

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def main() -> None:
    """Serve until it is ended, or its input is closed."""
    client, secret, redirect_uri = sys.argv[1:]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    # Another site than 127.0.0.1, where the page is: a browser treats what comes from there as foreign.
    Handler.state = State(client, secret, redirect_uri, f"http://localhost:{server.server_port}")
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # It ends with whoever started it, however that ends.
    sys.stdin.read()


if __name__ == "__main__":
    main()
