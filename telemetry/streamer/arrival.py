"""Where there are several brokers, a streamer brings the sources of its edge to the one it uses before it begins.

What comes along, and from where, is decided in `telemetry.progress.moving`.
"""

from __future__ import annotations

import redis

from telemetry import broker
from telemetry.progress.keys import Keys
from telemetry.progress.moving import bring
from telemetry.settings import Settings

# Another broker is waited for so long: an edge does without it.
ASK_S = 2.0


def arrive(settings: Settings, client: redis.Redis) -> None:
    """Bring the sources of an edge to its broker, whose client is given. Raises RedisError if that one is away."""
    others = {name: broker.connect(one, socket_timeout_s=ASK_S, retries=0) for name, one in settings.others.items()}
    try:
        bring(settings.edge, Keys(settings.key_prefix), client, others)
    finally:
        for other in others.values():
            other.close()
