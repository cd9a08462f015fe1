"""A file of rules changes the defaults, and a mistake in it is named with its mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from telemetry.health import rules_file
from telemetry.settings import Settings, SettingsError


def test_a_file_needs_only_what_is_different(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(
        'silent_after = "3m"\n[rules.gpu-hot]\nabove = 70\n[rules.waits]\nenabled = false\n'
        '[rules.mine]\nmetric = "X"\nbelow = 1\nseverity = "note"\nsays = "low"\naction = "cooling"\n'
        '[xids]\n31 = { says = "fault", severity = "faulty", action = "Look." }\n'
    )
    rules = Settings.load({"TELEMETRY_HEALTH_RULES": str(file)}).health_rules
    hot, before = rules.rules["gpu-hot"], rules_file.defaults().rules["gpu-hot"]
    assert (hot.comparator, hot.threshold, hot.for_s, hot.says) == ("above", 70, before.for_s, before.says)
    assert "waits" not in rules.rules
    assert rules.rules["mine"].action == before.action
    assert rules.wording("xid-31") == ("XID 31: fault", "Look.", False)
    assert rules.silent_after_s == 180
    assert rules.digest != rules_file.defaults().digest
    assert rules_file.parse("") == rules_file.defaults()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[rules.gpu-hot]\nfo = 1", "[rules.gpu-hot] has the unknown key 'fo'; the keys are"),
        ('[rules.gpu-hot]\nat_least = "hot"', "[rules.gpu-hot] needs at_least, a number"),
        ("[rules.new]\nmetric = 'X'", "[rules.new] must have one of above, at_least"),
        ("[rules.new]\nabove = 1", "[rules.new] needs metric"),
        ("[rules.new]\nabove = 1\nmetric = 5", "[rules.new] needs metric"),
        ("[rules.gpu-hot]\nhold = '1m'", "[rules.gpu-hot] has for and hold; give one of them"),
        ("[rules.gpu-hot]\nseverity = 'bad'", "severity must be one of note, degraded, faulty"),
        ("[rules.throttle-heat]\nany_bit = 0", "any_bit must be a whole number above 0"),
        ("silent_after = 3", "silent_after must be a length of time such as 30s"),
        ("[xids]\nfire = {}", "'fire' must be the code of an XID, or other"),
        ("[rule]", "the file has the unknown key 'rule'"),
        ("[rules", "Expected"),
    ],
)
def test_a_mistake_is_named(text: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as refused:
        Settings.load({"TELEMETRY_HEALTH_RULES": str(file)})
    assert f"TELEMETRY_HEALTH_RULES names {file}: " in str(refused.value)
    assert told in str(refused.value)


def test_each_rule_says_where_it_is_from_and_what_to_do() -> None:
    for rule in rules_file.defaults().rules.values():
        assert rule.source
        assert len(rule.action) > 10


def test_a_file_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(rules_file.RulesError, match="nested too deeply"):
        rules_file.changed("a = " + 5000 * "[")
