"""Plays the commands that are run in pods: `telemetry status` at a centre, and `telemetry trial` at edges and centre.

What the real commands say is tested where they are: tests/cli/test_status.py, tests/cli/test_trial.py, and both together in
tests/deploy/test_real_commands.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.deploy.kubernetes import Api

Object = dict[str, Any]
QUIET: Object = {"sources": 1, "lag_bytes": 0, "in_flight": 0, "dead_letters": 0, "workers": [], "silent_s": 0.0}


@dataclass
class Centre:
    """A centre that has heard of some edges, and has rows of them. `changed` is what a test says of an edge, by its name."""

    # The names of edges whose streamers run.
    running: Callable[[], list[str]]
    changed: dict[str, Object | None] = field(default_factory=dict)
    # Ages of the latest row, by edge; 0 where nothing is said, and None for an edge without rows.
    row_age_s: dict[str, float | None] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)
    fault: str = ""
    # Marked batches that the ledger has, and whether collectors commit them.
    ledger: dict[str, str] = field(default_factory=dict)
    commits: bool = True
    sent: int = 0

    def execute(self, api: Api) -> Callable[[str, str, list[str]], tuple[int, str]]:
        """What a cluster runs commands by."""

        def run(pod: str, container: str, words: list[str]) -> tuple[int, str]:
            if words[:2] == ["telemetry", "status"]:
                return int(bool(self.fault)), json.dumps(self.document())
            if words[:2] == ["telemetry", "trial"]:
                return self._forgotten() if "--forget" in words else self._sent(edge_of(api, pod))
            return 127, f"{container} has no {words}"

        return run

    def document(self) -> Object:
        """That of `telemetry status --json`, as far as it is read."""
        names = sorted({*self.running(), *self.changed})
        edges = [{"edge": name, **QUIET, **(self.changed.get(name) or {})} for name in names if self.changed.get(name, QUIET)]
        flow = {"rows_per_s": 12.5, "latency_s": 0.21}
        rows = {name: self.row_age_s.get(name, 0.0) for name in names}
        return {
            "parts": {"broker": {"status": "no answer", "fault": self.fault} if self.fault else {"status": "ok"}},
            "queue": {"waiting": 3, "unacked": 2},
            "edges": None if self.fault else edges,
            "sources": [{"edge": name, "foreign": name in self.foreign} for name in names],
            "flow": [{"edge": name, "row_age_s": age_s, **flow} for name, age_s in rows.items() if age_s is not None],
            "workers": ["collector@1"],
        }

    def _sent(self, edge: str) -> tuple[int, str]:
        self.sent += 1
        batch_id = f"trial-{self.sent}"
        if self.commits:
            self.ledger[batch_id] = edge
        answer = {"edge": edge, "batch_id": batch_id, "round_trip_s": 0.34}
        return int(not self.commits), json.dumps(answer | {"status": "committed" if self.commits else "no answer"})

    def _forgotten(self) -> tuple[int, str]:
        removed = [{"edge": edge, "batch_id": name, "latency_s": 0.12} for name, edge in self.ledger.items()]
        self.ledger.clear()
        return 0, json.dumps({"removed": removed})


def edge_of(api: Api, pod: str) -> str:
    """The edge of a pod, as its kubelet would have it."""
    (spec,) = [item["spec"] for path, item in api.objects.items() if path.endswith(f"/pods/{pod}")]
    variables = {each["name"]: each.get("value", "") for each in spec["containers"][0]["env"]}
    return str(variables["TELEMETRY_EDGE"]).replace("$(EDGE_NODE)", spec["nodeName"])


def streamers(api: Api) -> list[str]:
    """The edges whose streamers run in a cluster."""
    pods = [path.rpartition("/")[2] for path in api.objects if "/pods/" in path and "-streamer-" in path]
    return [edge_of(api, pod) for pod in pods]
