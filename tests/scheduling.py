"""Which tests run on the same worker."""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling

BROWSER_TESTS = "tests/browser/"


def unit_of(test: str) -> str:
    """A file is one unit of work, and so is the folder of browser tests: they share one JupyterLab and one Chromium.

    Two browsers at once on two cores would starve the live clusters, and each other.
    """
    return BROWSER_TESTS if test.startswith(BROWSER_TESTS) else test.partition("::")[0]


class OneBrowser(LoadFileScheduling):
    """Shares out tests by `unit_of`.

    `--dist loadgroup` would do the same by a mark, but with pytest 9.2 its marks never reach the scheduler.
    """

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)
