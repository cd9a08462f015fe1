"""Loads the fixtures; they stand by topic in tests/fixtures."""

pytest_plugins = [
    "tests.examples",
    "tests.fixtures.garbage",
    "tests.fixtures.order",
    "tests.fixtures.services",
    "tests.fixtures.secured",
    "tests.fixtures.fleet",
    "tests.fixtures.health",
    "tests.fixtures.mailbox",
    "tests.fixtures.files",
    "tests.fixtures.processes",
    "tests.fixtures.provider",
    "tests.fixtures.network",
    "tests.fixtures.prometheus",
]
