"""Scripts as values: they travel through JSON, and one seed always makes the same one."""

import json

import pytest

from dynalab.core.errors import InvalidSetting
from dynalab.explore.compose import ALL, composed, kinds_named
from dynalab.explore.script import VERBS, Step, UnreadableScript, loaded, saved, script_of


def test_a_script_survives_a_file():
    """What is read back is equal to what was saved, and what was found beside it does no harm."""
    for seed in range(30):
        script = composed(seed)
        again = loaded(saved(script, broke=["I1: lost"]))
        assert again.as_json() == json.loads(json.dumps(script.as_json()))
        assert script_of(again.as_json()) == again


def test_one_seed_makes_one_script():
    """A script follows from its seed, the kinds of faults and the settings that are forced, and from nothing else."""
    assert composed(7) == composed(7)
    assert composed(7) != composed(8)
    assert composed(7, ("loss",)) != composed(7)
    assert composed(7, ALL, {"hint_ttl_ms": 300}).settings["hint_ttl_ms"] == 300


def test_scripts_use_every_verb():
    """Among a few hundred scripts each verb occurs, and steps are in order of time."""
    scripts = [composed(seed) for seed in range(200)]
    used = {step.verb for script in scripts for step in script.steps}
    assert used == set(VERBS)
    for script in scripts:
        times = [step.at_ms for step in script.steps]
        assert times == sorted(times)
        assert script.ends_ms >= times[-1]


def test_only_the_asked_kinds_of_faults_occur():
    """With crashes alone nothing but crashes and recoveries happens to the nodes; with none, nothing does."""
    clients = {"put", "get", "delete", "retry"}
    crashes = {step.verb for seed in range(40) for step in composed(seed, ("crash",)).steps}
    assert crashes - clients == {"crash", "recover"}
    assert {step.verb for seed in range(40) for step in composed(seed, ()).steps} <= clients


def test_unknown_kinds_are_refused_by_name():
    """The error names the kind, and lists those that there are."""
    with pytest.raises(InvalidSetting, match=r"no kind of fault is called 'fire'.*partition"):
        kinds_named("crash,fire")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no script file"),
        ("[]", "no 'script'"),
        ('{"script": {}}', "KeyError"),
        ('{"script": {"format": 99}}', "format 99"),
    ],
)
def test_what_is_no_script_is_refused(text, says):
    """A file of another kind, or of another version, is refused by an error that says why."""
    with pytest.raises(UnreadableScript, match=says):
        loaded(text)


def test_a_verb_that_does_not_exist_is_refused():
    """A script is data from a file: only the listed verbs are taken from it."""
    told = composed(1).as_json()
    told["steps"] = [[0, "close", {}]]
    with pytest.raises(UnreadableScript, match="no verb of a script is called 'close'"):
        script_of(told)


def test_a_step_reads_like_the_verb_it_is():
    """A step says when, who and what, as a person would type it."""
    step = Step(12, "put", {"client": "alice", "key": "k0", "value": "v1", "via": "A"})
    assert str(step) == '     12 ms  alice.put("k0", "v1", via="A")'
