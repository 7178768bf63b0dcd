"""How a cluster begins: names and settings that fit each other."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import pytest

from dynalab.core.config import Config
from dynalab.core.errors import InvalidSetting
from dynalab.core.founding import checked_parts, founded_config, node_names


@pytest.mark.parametrize(("nodes", "partitions"), [(3, 64), (16, 64), (17, 128), (50, 256), (1_000, 4_096)])
def test_key_ranges_grow_with_the_cluster(nodes: int, partitions: int) -> None:
    """Where nobody names their number there are at least four key ranges for each node (6.2, Q >> S)."""
    assert founded_config(node_names(nodes)).partitions == partitions


@pytest.mark.parametrize("strategy", [2, 3])
def test_fewer_key_ranges_than_nodes_are_refused(strategy: int) -> None:
    """Nodes without a key range would make preference lists shorter than N."""
    with pytest.raises(InvalidSetting, match="5 nodes cannot share partitions=4"):
        founded_config(node_names(5), config=Config(partitions=4, strategy=strategy))


def test_random_tokens_need_no_key_ranges() -> None:
    """Strategy 1 divides the ring by tokens, so the number of equal key ranges does not matter."""
    assert founded_config(node_names(5), config=Config(partitions=1, strategy=1)).partitions == 1


def test_a_data_folder_may_be_named_by_a_path() -> None:
    """A path is as good as its text."""
    assert founded_config(node_names(3), settings={"data_dir": PurePosixPath("/data/x")}).data_dir == "/data/x"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"data_dir": 7}, "data_dir must be the path of a folder as text, or None; got 7"),
        ({"data_dir": ""}, "data_dir must be the path of a folder as text, or None; got ''"),
        ({"zones": {"A": 7}}, "the zone of node 'A' needs at most 128 characters of text; got 7"),
        ({"zones": {"A": "z" * 129}}, "the zone of node 'A' needs at most 128 characters of text; got 'zzz"),
    ],
)
def test_settings_of_a_wrong_type_are_refused(settings: dict[str, Any], says: str) -> None:
    """A setting that no node could take is refused before any node starts."""
    with pytest.raises(InvalidSetting) as refused:
        founded_config(node_names(3), settings=settings)
    assert says in str(refused.value)


def test_config_and_parts_are_what_they_are_called() -> None:
    """Something else in their place is a definite error that names it."""
    wrong: Any = 7
    with pytest.raises(InvalidSetting, match=r"config takes Config\(...\); got 7"):
        founded_config(node_names(3), config=wrong)
    with pytest.raises(InvalidSetting, match=r"parts takes Parts\(...\); got 7"):
        checked_parts(wrong)
