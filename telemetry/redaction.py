"""Takes passwords out of what is shown: those in URLs, in their queries, and in the settings of a database connection."""

from __future__ import annotations

import re

# Between the user's name and the host: up to the last @, as a password may hold some itself.
IN_URL = re.compile(r"(://[^:/@\s\"']*:)[^/\s\"']+@")
NAMED = re.compile(r"(\b(?:ssl)?password\s*=\s*)(?:'(?:[^'\\]|\\.)*'|[^\s&\"',;)]+)", re.IGNORECASE)


def blot(text: str) -> str:
    """A text without passwords."""
    return NAMED.sub(r"\1***", IN_URL.sub(r"\1***@", text))
