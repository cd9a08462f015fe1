"""The user that a server runs as. PostgreSQL refuses root and users without a name, and `telemetry up` must start for both.

Started by root, PostgreSQL runs as `nobody`, who is given its directory. Where `nobody` cannot reach that (in a home with mode
700), it runs in a user namespace, in which root's own files belong to an ordinary user. A user without a name, as in many
containers, has a name in such a namespace.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telemetry.local.servers.server import ServerError

# Any id but 0 would do in the namespace; nearly every passwd has a name for 65534.
NAMESPACE = ("unshare", "--user", "--map-user=65534", "--map-group=65534", "--")


@dataclass(frozen=True, slots=True)
class Account:
    """A user as `subprocess` takes it; `prefix` stands before each command, `uid` owns the files."""

    uid: int
    gid: int
    switch: bool = False
    prefix: tuple[str, ...] = ()

    def options(self) -> dict[str, Any]:
        """What Popen needs to become this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.switch else {}

    def own(self, directory: Path) -> None:
        """Give the directory and all in it to this user."""
        for path in (directory, *directory.rglob("*")):
            status = path.lstat()
            if (status.st_uid, status.st_gid) != (self.uid, self.gid):
                os.chown(path, self.uid, self.gid, follow_symlinks=False)


def current() -> Account:
    """The user of this process."""
    return Account(os.geteuid(), os.getegid())


def unprivileged(directory: Path, program: Path) -> Account:
    """An account that has a name, is not root, owns `directory` and can run `program` there. Raises ServerError."""
    me = current()
    if me.uid != 0 and _named(me.uid):
        return me
    reasons = []
    for account in _candidates(me):
        reason = _hindrance(account, directory, program)
        if reason is None:
            return account
        reasons.append(reason)
    raise ServerError(
        f"PostgreSQL does not run as root or as a user without a name, and nobody else can use {directory}"
        f" with {program} ({'; '.join(reasons)}). Run as an ordinary user, or choose a data directory that other"
        " users can reach"
    )


def _candidates(me: Account) -> Iterator[Account]:
    if me.uid == 0:
        with suppress(KeyError):
            entry = pwd.getpwnam("nobody")
            yield Account(entry.pw_uid, entry.pw_gid, switch=True)
    if shutil.which(NAMESPACE[0]):
        yield Account(me.uid, me.gid, prefix=NAMESPACE)


def _named(uid: int) -> bool:
    try:
        return bool(pwd.getpwuid(uid))
    except KeyError:
        return False


def _hindrance(account: Account, directory: Path, program: Path) -> str | None:
    check = ("/bin/sh", "-c", 'cd -- "$1" && test -w . && exec "$0" --version', str(program), str(directory))
    try:
        account.own(directory)
        done = subprocess.run(  # noqa: S603
            [*account.prefix, *check], capture_output=True, text=True, check=False, cwd="/", **account.options()
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return None if done.returncode == 0 else " ".join(done.stderr.split()) or f"exit code {done.returncode}"
