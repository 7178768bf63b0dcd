"""The guard: a student's mistake fails one call, never the process."""

from __future__ import annotations

import _thread
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from dynalab import guard as guard_module
from dynalab.core.errors import PartFailed
from dynalab.guard import PRINTED_MAX, TRACEBACK_MAX, run_guarded


def failure(function: Any, *arguments: Any, limit_ms: int = 50) -> PartFailed:
    with pytest.raises(PartFailed) as caught:
        run_guarded(limit_ms)("merge", function, arguments)
    return caught.value


def test_answers_pass_through() -> None:
    """A part that behaves is only called."""
    assert run_guarded()("merge", max, ([1, 3, 2],)) == 3


def test_endless_loop_ends() -> None:
    """A part that never returns fails, and the traceback shows where it was."""

    def never() -> None:
        while True:
            _ = 1 + 1

    failed = failure(never)
    assert "'merge' did not answer within 50 ms" in str(failed)
    assert "in never" in failed.traceback
    assert guard_module.__file__ not in failed.traceback


def test_endless_loop_that_swallows_everything_ends() -> None:
    """A part cannot stay by catching what ends it, unless it does so for ever."""
    caught = []

    def stubborn() -> str:
        while len(caught) < 2:
            try:
                while True:
                    _ = 1 + 1
            except BaseException as error:  # noqa: BLE001 - this is the mistake
                caught.append(error)
        return "too late"

    assert "did not answer" in str(failure(stubborn))


def test_nothing_leaks_out_of_a_call() -> None:
    """Parts that end just at their limit: each call answers or fails, and no exception comes later."""
    guard = run_guarded(1)
    ends = {"answered": 0, "failed": 0}
    for turn in range(150):
        try:
            assert guard("merge", sum, (range(20_000 + 5_000 * (turn % 60)),)) > 0
            ends["answered"] += 1
        except PartFailed:
            ends["failed"] += 1
        for _ in range(200):  # Here a late exception would strike.
            str(turn)
    assert sum(ends.values()) == 150


def test_the_thread_that_called_is_the_one_that_is_ended() -> None:
    """A part run outside the main thread ends there; the main thread goes on."""
    failures: list[PartFailed] = []

    def never() -> None:
        while True:
            _ = 1 + 1

    worker = threading.Thread(target=lambda: failures.append(failure(never)))
    worker.start()
    worker.join()
    assert "did not answer" in str(failures[0])


def test_only_the_students_frames_are_shown() -> None:
    """The traceback begins at the first frame that is not dynalab's."""

    def mine(values: list[int]) -> float:
        return inner(values)

    def inner(values: list[int]) -> float:
        return values[0] / 0

    failed = failure(mine, [1])
    assert str(failed) == "the part 'merge' raised ZeroDivisionError: division by zero"
    assert "in mine" in failed.traceback
    assert "in inner" in failed.traceback
    assert str(Path(guard_module.__file__).parent) not in failed.traceback


def test_wrong_signature_is_told_in_one_line() -> None:
    """A part that takes other arguments fails with Python's own words, and no frame of ours."""
    failed = failure(lambda one: one, 1, 2)
    assert "takes 1 positional argument but 2 were given" in str(failed)
    assert "File" not in failed.traceback


def test_traceback_is_bounded() -> None:
    """A traceback of any length keeps its two ends within 8 kB."""

    def shout() -> None:
        raise ValueError("x" * 100_000)

    failed = failure(shout)
    assert len(failed.traceback) <= TRACEBACK_MAX
    assert len(str(failed)) <= TRACEBACK_MAX + 100
    assert failed.traceback.startswith("Traceback")


def test_endless_recursion_fails_the_part() -> None:
    """A part that calls itself for ever meets Python's limit, not ours."""

    def deeper(n: int) -> int:
        return deeper(n + 1)

    assert "RecursionError" in str(failure(deeper, 1, limit_ms=10_000))


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt("mine"), GeneratorExit()])
def test_attempts_to_exit_fail_the_part(error: BaseException) -> None:
    """A part cannot end the process by raising what usually does."""

    def leave() -> None:
        raise error

    assert type(error).__name__ in str(failure(leave))


def test_sys_exit_fails_the_part() -> None:
    """`sys.exit()` in a part ends the part, not the notebook."""
    assert "SystemExit" in str(failure(sys.exit, 1))


def test_a_real_ctrl_c_comes_through() -> None:
    """The user's own interrupt, which arrives between a part's instructions, is not taken for the part's."""

    def interrupted() -> None:
        _thread.interrupt_main()
        while True:
            _ = 1 + 1

    with pytest.raises(KeyboardInterrupt):
        run_guarded(10_000)("merge", interrupted, ())


def test_prints_are_passed_on() -> None:
    """What a part prints reaches `on_print` with the part's name, also when the part fails."""
    heard: list[tuple[str, str]] = []
    guard = run_guarded(1_000, lambda part, text: heard.append((part, text)))

    def talk() -> None:
        print("hello")
        raise ValueError("oh")

    guard("quorum", len, ([],))
    with pytest.raises(PartFailed):
        guard("merge", talk, ())
    assert heard == [("merge", "hello\n")]


def test_prints_are_bounded() -> None:
    """A part that prints without end is cut at 64 kB, and told how much is missing."""
    heard: list[str] = []
    guard = run_guarded(5_000, lambda part, text: heard.append(text))
    guard("merge", lambda: print("x" * PRINTED_MAX * 2), ())
    assert len(heard[0]) < PRINTED_MAX + 100
    assert heard[0].endswith(f"and {PRINTED_MAX + 1:,} characters more\n")


def test_without_capture_prints_go_where_they_always_go(capsys: pytest.CaptureFixture[str]) -> None:
    """With no `on_print`, standard output is left alone."""
    run_guarded()("merge", print, ("seen",))
    assert capsys.readouterr().out == "seen\n"


def test_without_threads_there_is_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where threads cannot start (Pyodide), parts run unwatched, and still fail with their traceback."""

    def no_thread(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    guard = run_guarded(1)
    assert guard("merge", sum, (range(500_000),)) > 0
    with pytest.raises(PartFailed):
        guard("merge", lambda: 1 // 0, ())


def test_the_watcher_rests_when_nothing_is_called() -> None:
    """A guard that is not used for a while keeps no thread, and starts another when it is used again."""

    def watchers() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "dynalab-guard"]

    before = watchers()
    guard = run_guarded(50)
    guard("merge", max, (1, 2))
    (mine,) = [thread for thread in watchers() if thread not in before]
    mine.join(timeout=60)
    assert not mine.is_alive()
    assert guard("merge", max, (1, 2)) == 2


def test_loading_it_starts_no_threads_module() -> None:
    """Importing the guard does not import threading, which some hosts of the simulation lack."""
    program = (
        "import sys; before = set(sys.modules); import dynalab.guard; print('threading' in set(sys.modules) - before)"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "False"


def test_limit_is_checked() -> None:
    """A limit below one millisecond is refused."""
    with pytest.raises(ValueError, match="limit_ms must be 1 or more; got 0"):
        run_guarded(0)
