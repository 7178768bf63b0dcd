"""Where work runs: in order, never lost, never fatal."""

from __future__ import annotations

import asyncio
import threading

from dynalab.panels.runner import InlineRunner, LoopRunner, ThreadRunner, runner_for


def test_a_thread_runs_work_in_order_and_survives_a_mistake() -> None:
    """What is posted is done in order on one other thread; what raises is reported, and the next is done."""
    errors: list[Exception] = []
    runner = ThreadRunner(errors.append, "test-runner")
    done: list[tuple[int, str]] = []
    ended = threading.Event()
    for number in range(20):
        runner.post(lambda number=number: done.append((number, threading.current_thread().name)))
        if number == 10:
            runner.post(lambda: 1 / 0)
    runner.post(ended.set)
    assert ended.wait(20)
    assert done == [(number, "test-runner") for number in range(20)]
    assert [type(error) for error in errors] == [ZeroDivisionError]
    runner.close()


def test_a_thread_repeats_and_ends() -> None:
    """Repeated work is done again and again between the posted one; after close nothing is done any more."""
    runner = ThreadRunner(print, "test-runner")
    thrice, count = threading.Event(), []

    def work() -> None:
        count.append(1)
        if len(count) == 3:
            thrice.set()

    runner.every(0.01, work)
    assert thrice.wait(20)
    runner.close()
    runner._thread.join(20)
    assert not runner._thread.is_alive()


def test_a_loop_runs_work_between_two_cells_on_its_own_thread() -> None:
    """Posted from another thread, work waits until the loop is free and runs on the loop's thread."""

    async def notebook() -> list[str]:
        told: list[str] = []
        runner = LoopRunner(told.append, asyncio.get_running_loop())
        ended = asyncio.Event()

        def click() -> None:
            runner.post(lambda: told.append(threading.current_thread().name))
            runner.post(ended.set)

        clicking = threading.Thread(target=click)
        clicking.start()
        clicking.join()
        assert told == []  # The cell has not given the loop back yet.
        await asyncio.wait_for(ended.wait(), 20)
        return told

    assert asyncio.run(notebook()) == [threading.current_thread().name]


def test_a_loop_repeats_until_it_is_closed() -> None:
    """Repeated work on a loop ends with the runner."""

    async def notebook() -> int:
        count = 0
        thrice = asyncio.Event()
        runner = LoopRunner(print, asyncio.get_running_loop())

        def work() -> None:
            nonlocal count
            count += 1
            if count == 3:
                runner.close()
                thrice.set()

        runner.every(0.001, work)
        await asyncio.wait_for(thrice.wait(), 20)
        for _ in range(20):
            await asyncio.sleep(0)
        return count

    assert asyncio.run(notebook()) == 3


def test_each_kind_of_cluster_has_its_place() -> None:
    """A live cluster's work runs on a thread; a simulation's on the loop where there is one, else where it is."""
    live = runner_for("live", "test-runner", print)
    assert isinstance(live, ThreadRunner)
    live.close()
    assert isinstance(runner_for("sim", "", print), InlineRunner)

    async def notebook() -> bool:
        return isinstance(runner_for("sim", "", print), LoopRunner)

    assert asyncio.run(notebook())
