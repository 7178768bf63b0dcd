"""How a cluster begins: names and settings that fit each other."""

from __future__ import annotations

import pytest

from dynalab.core.config import Config
from dynalab.core.errors import InvalidSetting
from dynalab.core.founding import founded_config, node_names


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
