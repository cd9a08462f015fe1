"""What a person may do by the groups that a provider of logins says they are in. Pure.

A person with several groups may do what any of them may. One group that sees all of the fleet is enough to see it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from telemetry.settings.groups_file import Rights

# By one of these a person may open the page.
READING = {"read", "admin"}


def groups(claims: Mapping[str, Any], claim: str) -> tuple[str, ...] | None:
    """The groups that a claim names, as a list or as one text; None where there is no such claim.

    A claim whose own name has dots, such as a URL, comes before one within another. An address of mail is that of somebody else
    until the provider has verified it.
    """
    if claim == "email" and claims.get("email_verified") is not True:
        return None
    value: Any = claims
    for name in [claim] if claim in claims else claim.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(value, str):
        return (value,)
    return tuple(text for text in value if isinstance(text, str)) if isinstance(value, list) else None


def rights(members: Iterable[str], known: Sequence[Rights]) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """The scopes of somebody who is in some groups, and the namespaces that they are bound to; None if they may not read."""
    names = set(members)
    own = [each for each in known if each.group in names]
    scopes = {scope for each in own if not each.namespaces for scope in each.scopes}
    if scopes & READING:
        return tuple(sorted(scopes)), ()
    namespaces = {namespace for each in own for namespace in each.namespaces}
    return (("read",), tuple(sorted(namespaces))) if namespaces else None
