"""Settings and parts: every range, every refusal, and that a config is a value."""

from __future__ import annotations

import ast
import inspect
from dataclasses import FrozenInstanceError, fields
from itertools import pairwise

import pytest

from dynalab.core.config import VALUE_BYTES_MAX, Config, Parts, setting_names
from dynalab.core.merge import merger_names


def test_the_defaults_are_the_papers_usual_ones():
    """Paper 6: the common (N, R, W) configuration is (3, 2, 2)."""
    config = Config()
    assert (config.n, config.r, config.w) == (3, 2, 2)
    assert config.clocks == "dotted"
    assert config.strategy == 3


def test_every_setting_is_documented_at_its_place():
    """Each setting has a sentence under it in the source."""
    tree = ast.parse(inspect.getsource(Config))
    body = tree.body[0].body
    named = [node.target.id for node in body if isinstance(node, ast.AnnAssign)]
    documented = [
        before.target.id
        for before, after in pairwise(body)
        if isinstance(before, ast.AnnAssign) and isinstance(after, ast.Expr)
    ]
    assert named == setting_names() == documented


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("n", 1, 16),
        ("tokens", 1, 1024),
        ("partitions", 1, 65536),
        ("anti_entropy_ms", 0, 86_400_000),
        ("gossip_ms", 0, 86_400_000),
        ("ping_ms", 0, 86_400_000),
        ("handoff_ms", 0, 86_400_000),
        ("hint_ttl_ms", 1, 10 * 86_400_000),
        ("hint_bytes", 0, 2**40),
        ("timeout_ms", 1, 600_000),
        ("replica_timeout_ms", 1, 600_000),
        ("max_value_bytes", 1, VALUE_BYTES_MAX),
        ("max_siblings", 1, 10_000),
        ("max_clock", 1, 10_000),
        ("max_requests", 1, 1_000_000),
        ("slo_ms", 1, 600_000),
        ("close_after_ms", 0, 10 * 86_400_000),
    ],
)
def test_integers_have_ranges_that_include_their_ends(name, low, high):
    """Both ends are allowed; beyond them, and anything that is no integer, is refused with name, value and range."""
    quorum = {"r": 1, "w": 1}
    for value in (low, high):
        assert getattr(Config(**quorum, **{name: value}), name) == value
    for value in (low - 1, high + 1, float(low), str(low), None, True):
        with pytest.raises(ValueError, match=f"{name} must be an integer from {low} to {high}; got ") as refused:
            Config(**quorum, **{name: value})
        assert repr(value) in str(refused.value)


@pytest.mark.parametrize("name", ["typo", "Cart", "", None, 7, ["cart"], sorted])
def test_a_merger_that_is_none_is_refused_before_any_sibling_needs_it(name):
    """An unknown merger names its prefix and the mergers there are; the known ones are all taken."""
    with pytest.raises(ValueError, match=r"one of last_writer_wins, .*, or_set\}; got 'set/': ") as refused:
        Config(mergers={"": "cart", "set/": name})
    assert f"'set/': {name!r}" in str(refused.value)
    assert "Parts(merge=...)" in str(refused.value)
    assert Config(mergers={known: known for known in merger_names()}).mergers["cart"] == "cart"


@pytest.mark.parametrize("name", ["zones", "weights", "mergers"])
@pytest.mark.parametrize("value", [None, "A", ["A"], 2])
def test_tables_are_tables(name, value):
    """What is kept by node or by prefix is a table; anything else is refused by name."""
    with pytest.raises(ValueError, match=f"{name} must be a table"):
        Config(**{name: value})


def test_a_prefix_of_a_merger_is_a_text():
    """Keys may be bytes; the prefixes that choose a merger are texts."""
    with pytest.raises(ValueError, match=r"got b'set/': 'set_union'"):
        Config(mergers={b"set/": "set_union"})


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"r": 0}, "r must be from 1 to n=3; got 0"),
        ({"r": 4}, "r must be from 1 to n=3; got 4"),
        ({"w": 4}, "w must be from 1 to n=3; got 4"),
        ({"w": 1.0}, "w must be from 1 to n=3; got 1.0"),
        ({"r": True}, "r must be from 1 to n=3; got True"),
        ({"n": 1}, "r must be from 1 to n=1; got 2"),
        ({"strategy": 4}, "strategy must be one of 1, 2, 3; got 4"),
        ({"clocks": "lamport"}, "clocks must be one of dotted, vector; got 'lamport'"),
        ({"storage": "disk"}, "storage must be one of memory, log, sqlite, rocks, redis; got 'disk'"),
        ({"durability": "yes"}, "durability must be one of memory, buffered, durable; got 'yes'"),
        ({"strict": "no"}, "strict must be True or False; got 'no'"),
        ({"hints": 1}, "hints must be True or False; got 1"),
        ({"phi": 0.05}, "phi must be from 0.1 to 100; got 0.05"),
        ({"phi": 101}, "phi must be from 0.1 to 100; got 101"),
        ({"phi": "4"}, "phi must be"),
        ({"phi": float("nan")}, "phi must be from 0.1 to 100; got nan"),
        ({"weights": {"A": 0}}, "the weight of node 'A' must be above 0 and at most 1000; got 0"),
        ({"weights": {"A": 1001}}, "the weight of node 'A' must be above 0 and at most 1000; got 1001"),
        ({"weights": {"A": "2"}}, "the weight of node 'A' must be above 0 and at most 1000; got '2'"),
        ({"weights": {"A": float("nan")}}, "the weight of node 'A' must be"),
    ],
)
def test_settings_out_of_range_are_refused(settings, says):
    """The text names the setting, its value and what is allowed."""
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the text is what this is about
        Config(**settings)
    assert says in str(refused.value)


def test_a_config_is_a_value():
    """A config never changes; `with_` answers another one, checked again."""
    config = Config()
    with pytest.raises(FrozenInstanceError):
        config.n = 5  # type: ignore[misc]
    changed = config.with_(n=5, r=4)
    assert (changed.n, changed.r, config.n) == (5, 4, 3)
    assert changed.with_(n=3, r=2) == config
    with pytest.raises(ValueError, match="r must be from 1 to n=3; got 4"):
        config.with_(r=4)


def test_an_unknown_setting_is_refused_with_the_known_ones():
    """A misspelt setting is named, and the list of settings is given."""
    with pytest.raises(ValueError, match=r"no setting is called 'repair'; there are n, r, w, tokens, .*read_repair"):
        Config().with_(repair=True)


# ------------------------------------------------------------------------------ parts


class _Both:
    def put(self, *_: object) -> None: ...

    def merge(self, *_: object) -> None: ...


def test_parts_say_which_are_replaced():
    """`given` lists the replaced parts in the order of the table."""
    assert Parts().given() == []
    assert Parts(hedge=max, order=min, siblings=_Both()).given() == ["order", "siblings", "hedge"]


@pytest.mark.parametrize("name", [part.name for part in fields(Parts)])
def test_every_part_must_be_what_its_table_says(name):
    """A part is a function, or an object with the listed methods; anything else is refused by name."""
    with pytest.raises(ValueError, match=f"the part '{name}' (must be a function; got 7|needs the methods )"):
        Parts(**{name: 7})


def test_a_part_with_a_missing_method_names_it():
    """Of two functions one is not enough."""
    with pytest.raises(ValueError, match=r"the part 'handoff' needs the methods fallback, next_hint; missing \['fall"):
        Parts(handoff=_Both())
