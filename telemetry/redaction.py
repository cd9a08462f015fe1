"""Removes passwords from texts that are shown: from URLs, their queries, and the settings of a database connection."""

from __future__ import annotations

import re

# From the user's name up to the last @ of the word, as a password may hold @, / or # itself. An @ in the path of a URL with a
# password is thus taken for the password's end: too much is hidden there, never too little.
IN_URL = re.compile(r"(://[^:/@\s\"']*:)[^\s\"']+@")
NAMED = re.compile(r"(\b(?:ssl)?password\s*=\s*)(?:'(?:[^'\\]|\\.)*'|[^\s&\"',;)]+)", re.IGNORECASE)


def blot(text: str) -> str:
    """The text with `***` in place of passwords."""
    return NAMED.sub(r"\1***", IN_URL.sub(r"\1***@", text))
