"""What the tests of the course share: one warm process that runs are forked from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dynalab.course.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Confined runs; started when first asked for."""
    with Runs(tmp_path_factory.mktemp("runs")) as started:
        yield started
