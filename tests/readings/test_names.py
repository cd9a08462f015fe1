"""The name of an edge is `cluster/node`; names that strangers made up are read, too."""

from __future__ import annotations

import pytest

from telemetry.readings.names import MAX_EDGE, Edge, ingest_queue, tick_queue


@pytest.mark.parametrize(
    ("name", "cluster", "node"),
    [("a/b", "a", "b"), ("a/b/c", "a", "b/c"), ("a", "a", ""), ("", "", ""), ("/b", "", "b"), ("ä;/\0", "ä;", "\0")],
)
def test_any_text_has_a_cluster_and_a_node(name: str, cluster: str, node: str) -> None:
    edge = Edge(name)
    assert (edge.name, edge.cluster, edge.node) == (name, cluster, node)


def test_a_name_that_we_choose_is_strict() -> None:
    assert Edge.parse("eu-1/gpu_7.local") == Edge("eu-1/gpu_7.local")
    for text in ("", "a", "a/", "/b", "a/b;c", "a/b c"):
        with pytest.raises(ValueError, match="must read cluster/node"):
            Edge.parse(text)


def test_a_name_fits_into_an_index() -> None:
    assert Edge.parse(f"a/{'b' * (MAX_EDGE - 2)}")
    with pytest.raises(ValueError, match="is 256 characters long, the limit is 255"):
        Edge.parse(f"a/{'b' * (MAX_EDGE - 1)}")


def test_each_edge_has_a_queue_of_its_own() -> None:
    assert ingest_queue("p") == "p.ingest"
    assert tick_queue("p", "a/b") == "p.tick.a/b"
