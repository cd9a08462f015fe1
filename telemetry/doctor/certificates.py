"""Whether a server's certificate is one that the product accepts: its chain, the host it is for, its dates.

It stands for `openssl s_client`. OpenSSL names one fault and stops, so a certificate that is refused is looked at again with
less strict rules, until each of the three can be judged by itself. What they mean is decided by pure functions.
"""

from __future__ import annotations

import ssl
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from telemetry.doctor import reach
from telemetry.doctor.address import Address, Tls
from telemetry.doctor.finding import Judgement, failed, ok, warning

WARN_DAYS = 14
# X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python has no name for.
ANY_TIME = 0x200000
# https://www.postgresql.org/docs/current/protocol-message-formats.html, SSLRequest
SSL_REQUEST = struct.pack("!ii", 8, 80877103)


@dataclass(frozen=True, slots=True)
class Seen:
    """A server's certificate, and what OpenSSL has against it: all told, in its chain alone, in its name alone."""

    refused: str | None = None
    chain: str | None = None
    name: str | None = None
    names: tuple[str, ...] = ()
    issuer: str = ""
    begins_s: float | None = None
    ends_s: float | None = None


class Certificate:
    """The certificate of one server, looked at once. `encryption` is asked first."""

    def __init__(self, address: Address, tls: Tls) -> None:
        self._address, self._tls = address, tls
        self._seen = Seen()

    def encryption(self) -> Judgement:
        """Whether TLS can be spoken at all, with the files that the settings name."""
        try:
            self._seen = look(self._address, self._tls)
        except _NoTlsError as error:
            return failed(str(error), f"switch TLS on at the server, or off in {self._address.variable}")
        except FileNotFoundError as error:
            return failed(
                f"a certificate file is not there: {error.filename or self._files()}", "mount it, or correct its path"
            )
        except ssl.SSLError as error:
            return failed(f"TLS does not come about: {error.reason or error}", self._mend_of_handshake())
        except OSError as error:
            return self._unspoken(error)
        if not self._tls.checks_chain:
            return warning(f"encrypted, but the certificate is not checked: {self._tls.unchecked_because}", "let it be checked")
        return ok("encrypted")

    def _unspoken(self, error: OSError) -> Judgement:
        """Why the other side does not speak TLS."""
        where = reach.place(self._address)
        if isinstance(error, TimeoutError):
            mend = f"see whether a firewall or proxy on the way to {where} lets answers through, else whether the server hangs"
            return failed("the connection is taken, and nothing comes back on it", mend)
        says = f"the server ends the connection instead of TLS: {error.strerror or error}"
        return failed(says, f"see whether {where} is the port with TLS")

    def chain(self) -> Judgement:
        """Whether an authority signed it that this machine trusts."""
        return judge_chain(self._seen, self._tls.ca)

    def name(self) -> Judgement:
        """Whether it is for this host."""
        return judge_name(self._seen, self._address)

    def expiry(self) -> Judgement:
        """Whether it is valid now, and for how long."""
        return judge_expiry(self._seen, datetime.now(UTC))

    def _files(self) -> str:
        return ", ".join(file for file in (self._tls.ca, self._tls.certificate, self._tls.key) if file)

    def _mend_of_handshake(self) -> str:
        files = self._files()
        return (
            f"see whether {reach.place(self._address)} is the port with TLS{f', and whether {files} are PEM' if files else ''}"
        )


def judge_chain(seen: Seen, ca: str | None) -> Judgement:
    """The chain. A certificate that is refused for none of the three reasons has an issuer whose own time is over."""
    trusted = f"the authority in {ca}" if ca else "the authorities of this machine"
    if seen.chain is not None:
        return failed(
            f"{trusted} did not sign the certificate: {seen.chain}",
            "give the certificate of the authority that signed it, as caCert in the chart, TELEMETRY_BROKER_CA, or sslrootcert",
        )
    if seen.refused is not None and seen.name is None and not _over(seen, datetime.now(UTC).timestamp()):
        return failed(f"the chain is refused: {seen.refused}", "let the authority's own certificates be renewed")
    return ok(f"signed by {seen.issuer or 'an authority'}, which {trusted} vouches for")


def judge_name(seen: Seen, address: Address) -> Judgement:
    """The host name."""
    if seen.name is None:
        return ok(f"it is for {address.host}")
    names = ", ".join(seen.names) or "no host"
    return failed(
        f"the certificate is for {names}, not for {address.host}",
        f"write in {address.variable} a name that the certificate has, or have one made with DNS:{address.host}",
    )


def judge_expiry(seen: Seen, now: datetime) -> Judgement:
    """The dates."""
    if seen.begins_s is None or seen.ends_s is None:
        return warning("its dates cannot be read", "mend its chain first")
    begins, ends = (datetime.fromtimestamp(second, UTC) for second in (seen.begins_s, seen.ends_s))
    if now > ends:
        return failed(
            f"it has expired on {ends:%Y-%m-%d %H:%M} UTC", "have the server's certificate renewed, and the server load it"
        )
    if now < begins:
        return failed(f"it is valid from {begins:%Y-%m-%d %H:%M} UTC only", "see whether this machine's clock is right")
    days = (ends - now).days
    if days < WARN_DAYS:
        return warning(
            f"it expires in {days} days, on {ends:%Y-%m-%d}", "have it renewed, and see why that does not happen by itself"
        )
    return ok(f"valid for {days} days, until {ends:%Y-%m-%d}")


def _over(seen: Seen, now_s: float) -> bool:
    return seen.begins_s is not None and seen.ends_s is not None and not seen.begins_s <= now_s <= seen.ends_s


class _NoTlsError(Exception):
    """The server does not speak TLS."""


def look(address: Address, tls: Tls) -> Seen:
    """The certificate, as a client of the product sees it. Raises OSError, of which SSLError is one, where there is no TLS."""
    try:
        return _described(_handshake(address, tls, name=tls.checks_name, time=True))
    except ssl.SSLCertVerificationError as error:
        refused = error.verify_message
    try:
        shown = _handshake(address, tls, name=False, time=False)
    except ssl.SSLCertVerificationError as error:
        return Seen(refused=refused, chain=error.verify_message)
    try:
        _handshake(address, tls, name=tls.checks_name, time=False)
        name = None
    except ssl.SSLCertVerificationError as error:
        name = error.verify_message
    return _described(shown, refused=refused, name=name)


def _handshake(address: Address, tls: Tls, *, name: bool, time: bool) -> dict[str, Any]:
    """Shake hands; what Python tells of the certificate, {} where it is not checked."""
    context = ssl.create_default_context(cafile=tls.ca)
    context.check_hostname = name and tls.checks_chain
    context.verify_mode = ssl.CERT_REQUIRED if tls.checks_chain else ssl.CERT_NONE
    if not time:
        context.verify_flags |= ANY_TIME
    if tls.certificate:
        context.load_cert_chain(tls.certificate, tls.key)
    with reach.opened(address) as plain:
        if address.starts_plain:
            plain.sendall(SSL_REQUEST)
            if plain.recv(1) != b"S":
                raise _NoTlsError("the server speaks no TLS")
        with context.wrap_socket(plain, server_hostname=address.host) as wrapped:
            return dict(wrapped.getpeercert() or {})


def _described(certificate: dict[str, Any], *, refused: str | None = None, name: str | None = None) -> Seen:
    if not certificate:
        return Seen(refused=refused, name=name)
    issuer = {key: value for part in certificate.get("issuer", ()) for key, value in part}
    return Seen(
        refused=refused,
        name=name,
        names=tuple(value for _, value in certificate.get("subjectAltName", ())),
        issuer=issuer.get("commonName") or issuer.get("organizationName") or "",
        begins_s=ssl.cert_time_to_seconds(certificate["notBefore"]),
        ends_s=ssl.cert_time_to_seconds(certificate["notAfter"]),
    )
