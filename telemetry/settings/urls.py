"""Takes a URL apart as RFC 3986 (appendix B) does. It may name several hosts, and each may be an IPv6 address in brackets.

`urlsplit` of the standard library takes brackets around the first host at most, from Python 3.13 on. So it judges each host
alone. Pure.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

PARTS = re.compile(r"([^:/?#]+)://([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)


def split(url: str) -> SplitResult:
    """The parts. Raises ValueError, whose text may show the URL."""
    match = PARTS.fullmatch(url)
    if match is None:
        raise ValueError(f"{url!r} has no scheme://")
    scheme, netloc, *rest = (part or "" for part in match.groups())
    credentials, at, hosts = netloc.rpartition("@")
    for host in hosts.split(","):
        urlsplit(f"{scheme}://{credentials}{at}{host.strip()}")
    return SplitResult(scheme, netloc, *rest)
