"""Several brokers: how they are named, and which of them an edge takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.settings import Settings, SettingsError
from telemetry.settings.brokers import chosen

NAMES = st.lists(st.text("abcdefgh0123-", min_size=1, max_size=8), min_size=1, max_size=6, unique=True)
TWO = {"TELEMETRY_BROKER_URLS": "north=redis://n/0\n south=sentinel://a,b/mymaster/0"}


@given(NAMES, st.text(min_size=1))
def test_the_order_of_the_list_does_not_matter(names: list[str], edge: str) -> None:
    assert chosen(names[::-1], edge) == chosen(sorted(names), edge) == chosen(names, edge)


@given(NAMES, st.text("xyz", min_size=9, max_size=9), st.lists(st.text(min_size=1), min_size=1))
def test_a_broker_that_is_added_takes_its_share_and_moves_no_other_edge(names: list[str], new: str, edges: list[str]) -> None:
    for edge in edges:
        assert chosen([*names, new], edge) in {new, chosen(names, edge)}


def test_each_broker_gets_about_its_share() -> None:
    names = ["a", "b", "c", "d"]
    took = [chosen(names, f"rack/node{number}") for number in range(4000)]
    assert all(850 < took.count(name) < 1150 for name in names)


def test_which_broker_a_process_uses() -> None:
    names = ("c/1", "c/2", "c/3", "c/4")
    edges = {name: Settings.load({**TWO, "TELEMETRY_ROLE": "edge", "TELEMETRY_EDGE": name}) for name in names}
    urls = dict(Settings.load(TWO).broker_urls)
    assert {made.broker_url for made in edges.values()} == set(urls.values())
    for name, made in edges.items():
        assert made.broker_url == urls[chosen(list(urls), name)] == Settings.load(TWO).of_edge(name).broker_url
        (other,) = made.others.values()
        assert other.broker_url != made.broker_url
    assert Settings.load({**TWO, "TELEMETRY_BROKER_NAME": "south"}).broker_url == urls["south"]
    drained = Settings.load({**TWO, "TELEMETRY_BROKER_DRAINED": "north"})
    assert {drained.of_edge(name).broker_url for name in edges} == {urls["south"]}
    assert list(drained.brokers) == ["north", "south"]
    assert list(Settings.load({"TELEMETRY_BROKER_URL": "redis://b/0"}).brokers) == [""]


def test_an_edge_leaves_a_broker_that_is_drained_also_where_it_is_named() -> None:
    variables = {**TWO, "TELEMETRY_BROKER_NAME": "north", "TELEMETRY_BROKER_DRAINED": "north"}
    urls = dict(Settings.load(TWO).broker_urls)
    assert Settings.load({**variables, "TELEMETRY_ROLE": "edge", "TELEMETRY_EDGE": "c/1"}).broker_url == urls["south"]
    # A collector works its queue off.
    assert Settings.load(variables).broker_url == urls["north"]


def test_an_empty_url_beside_several_is_none() -> None:
    """Compose lays one file over another, and cannot take a variable away."""
    assert Settings.load({**TWO, "TELEMETRY_BROKER_URL": ""}).brokers.keys() == {"north", "south"}


def test_user_and_password_are_those_of_all() -> None:
    made = Settings.load({**TWO, "TELEMETRY_BROKER_USERNAME": "edge", "TELEMETRY_BROKER_PASSWORD": "p@ss"})
    assert dict(made.broker_urls) == {
        "north": "redis://edge:p%40ss@n/0",
        "south": "sentinel://edge:p%40ss@a,b/mymaster/0",
    }
    assert "p%40ss" not in repr(made)


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"TELEMETRY_BROKER_URLS": "redis://b/0"}, "must name each broker"),
        ({"TELEMETRY_BROKER_URLS": "a=redis://x/0 a=redis://y/0"}, "names a twice"),
        ({"TELEMETRY_BROKER_URLS": "a=redis://:secret@x/0 b=redis://:secret@x/0"}, "has one URL for a and b"),
        ({"TELEMETRY_BROKER_URLS": "a=http://:secret@x/0"}, "must start with redis.*in the URL of a"),
        ({**TWO, "TELEMETRY_BROKER_URL": "redis://b/0"}, "both set"),
        ({**TWO, "TELEMETRY_BROKER_NAME": "west"}, "BROKER_NAME names west, and .* only north, south"),
        ({**TWO, "TELEMETRY_BROKER_DRAINED": "west"}, "BROKER_DRAINED names west"),
        ({**TWO, "TELEMETRY_BROKER_DRAINED": "north, south"}, "leave one"),
    ],
)
def test_what_is_refused(variables: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says) as error:
        Settings.load(variables)
    assert "secret" not in str(error.value)
