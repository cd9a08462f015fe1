"""The users of the broker, and what each may do there, made of the list of keys. Pure.

An edge's user reaches the keys that name its edges, with the commands that their types need. Of the keys that all edges share
it may use single commands, such as to push to the ingest queue, which it can't read. It has no channel, so it commands nobody,
and sees no events. The users of the centre reach the keys that they write, and read those that they read.

How Redis 7 and Valkey say that: https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/. A rule in brackets
is a selector: a command is allowed if the user's first rules allow it, or one selector does, for all keys of the command.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, get_args

from telemetry.progress import keys
from telemetry.progress.keys import Key, Keys, Party
from telemetry.trust import holders

Role = Literal["collector", "api", "exporter", "flower", "operator"]
ROLES: tuple[Role, ...] = get_args(Role)
PARTIES: dict[Role, Party] = {
    "collector": "collector",
    "api": "API",
    "exporter": "exporter",
    "flower": "flower",
    "operator": "commands",
}
OF_AN_EDGE = {"streamer", "beat"}

# What every connection of redis-py and kombu says, and what has no key.
CONNECTION = (
    *("auth", "hello", "ping", "select", "client|setname", "client|setinfo", "client|id", "reset", "quit"),
    *("multi", "exec", "discard", "watch", "unwatch", "time"),
)
SCRIPTS = ("eval", "evalsha", "script|load", "script|exists")
KEYS_OF_ANY_TYPE = ("exists", "expire", "pexpire", "pttl", "del")
BY_TYPE: dict[keys.Type, tuple[str, ...]] = {
    "list": ("lpush", "rpush", "brpop", "blmpop", "llen"),
    "hash": ("hget", "hmget", "hgetall", "hset", "hsetnx", "hincrby", "hdel", "hlen", "hexists", "rename"),
    "set": ("sadd", "srem", "smembers"),
    "zset": ("zadd", "zrem", "zcard", "zrange", "zrangebyscore", "zremrangebyscore", "zremrangebyrank"),
    "string": ("get", "set"),
}
# kombu makes four lists of a queue, for priorities: the queue's name, and the same with a separator and a digit.
PRIORITIES = "\x06\x16?"
# For events and remote control. kombu subscribes to patterns (`/{db}.{exchange}`), for which only the same pattern would do.
CHANNELS = "allchannels"
OF_ROLES = ("+@all", "-@admin", "-@dangerous", "+info")
OF_OPERATOR = ("~*", "&*", "+@all", "-debug", "-shutdown", "-replicaof", "-flushall")


@dataclass(frozen=True, slots=True)
class User:
    """A user of the broker. `rules` say all but its passwords."""

    name: str
    rules: tuple[str, ...]

    def setting(self, passwords: Iterable[str]) -> list[str]:
        """The words behind ACL SETUSER, with digests in place of passwords. Without a password nobody can be this user."""
        digests = [f"#{sha256(password.encode()).hexdigest()}" for password in passwords]
        return [self.name, "reset", "on" if digests else "off", *digests, *self.rules]

    def line(self, passwords: Iterable[str]) -> str:
        """The same as a line of a file of users (`aclfile`), which knows no quotes: kombu's separator stands in it as it is."""
        name, _, *rules = self.setting(passwords)
        return " ".join(("user", name, *rules))


def role_name(prefix: str, role: Role) -> str:
    """What the user of a role is called."""
    return f"{prefix}.{role}"


def edge_name(prefix: str, holder: str) -> str:
    """What the user of a holder's edges is called: never like that of a role, whatever the cluster's name."""
    return f"{prefix}.edge.{holder}"


def of_edge(prefix: str, holder: str) -> User:
    """The user of a holder's edges."""
    edge = holders.pattern(holder)
    own = [key for key in keys.DECLARED if _is_own(key) and OF_AN_EDGE & {*key.writers, *key.readers}]
    patterns = [pattern for key in own for pattern in _of_edge(key, prefix, edge)]
    types = dict.fromkeys(command for key in own for command in BY_TYPE[key.type])
    commands = (*CONNECTION, *SCRIPTS, *KEYS_OF_ANY_TYPE, *types)
    rules = ["resetchannels", "-@all", *(f"~{pattern}" for pattern in patterns), *(f"+{command}" for command in commands)]
    shared = [key for key in keys.DECLARED if key.of_edges]
    rules += (_selector(key.of_edges, [_shared(key, prefix)]) for key in shared)
    # The script that claims a source adds its edge to the list of edges. Within it the rules above hold.
    rules.append(_selector(("eval", "evalsha"), [*patterns, _shared(keys.EDGES, prefix)]))
    return User(edge_name(prefix, holder), tuple(rules))


def of_role(prefix: str, role: Role) -> User:
    """The user of one kind of process at the centre. A person's may do all but harm the server, and make users."""
    if role == "operator":
        return User(role_name(prefix, role), OF_OPERATOR)
    party = PARTIES[role]
    patterns = []
    for key in keys.DECLARED:
        if party in key.writers or party in key.readers:
            access = "~" if party in key.writers else "%R~"
            patterns += [f"{access}{pattern}" for pattern in _of_role(key, prefix)]
    channels = CHANNELS if party in keys.CELERY else "resetchannels"
    return User(role_name(prefix, role), (*patterns, channels, *OF_ROLES))


def _is_own(key: Key) -> bool:
    """Whether an edge has a key of that kind to itself."""
    return any(part in key.name for part in ("{edge}", "{owner}", "{exchange}"))


def _of_edge(key: Key, prefix: str, edge: str) -> list[str]:
    pattern = key.name.format(p=prefix, edge=edge, owner=f"edge.{edge}", exchange=Keys(prefix).tick(edge), id="*")
    return [pattern, pattern + PRIORITIES] if key.type == "list" else [pattern]


def _of_role(key: Key, prefix: str) -> list[str]:
    pattern = key.name.format(p=prefix, edge="*", owner="central", exchange="*", id="*")
    return [pattern, pattern + PRIORITIES] if key.type == "list" else [f"{pattern}*" if key is keys.RATES else pattern]


def _shared(key: Key, prefix: str) -> str:
    return key.name.format(p=prefix, owner="central")


def _selector(commands: Iterable[str], patterns: Iterable[str]) -> str:
    return f"({' '.join((*(f'+{command}' for command in commands), *(f'~{pattern}' for pattern in patterns)))})"
