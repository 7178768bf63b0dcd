"""The fixture `world`: every scenario runs in the simulation and on real processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.worlds import World

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=["sim", pytest.param("live", marks=pytest.mark.live)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    founded: list[Any] = []
    yield World(request.param, founded.append)
    for cluster in founded:
        cluster.close()
