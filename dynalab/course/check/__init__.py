"""The checks of all exercises, by name: ``course.check.ring_1(owner)``."""

from dynalab.course.check.capstone import *  # noqa: F403 - each module's `__all__` is its checks
from dynalab.course.check.chaos import *  # noqa: F403 - see above
from dynalab.course.check.clocks import *  # noqa: F403 - see above
from dynalab.course.check.durability import *  # noqa: F403 - see above
from dynalab.course.check.handoff import *  # noqa: F403 - see above
from dynalab.course.check.membership import *  # noqa: F403 - see above
from dynalab.course.check.merkle import *  # noqa: F403 - see above
from dynalab.course.check.quorums import *  # noqa: F403 - see above
from dynalab.course.check.reconciliation import *  # noqa: F403 - see above
from dynalab.course.check.ring import *  # noqa: F403 - see above
from dynalab.course.check.tail import *  # noqa: F403 - see above
