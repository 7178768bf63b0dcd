"""The desk of the stories: nothing asked for is lost, and impatience does not skip steps."""

from __future__ import annotations

import threading

from dynalab.panels.desk import Desk
from dynalab.panels.runner import InlineRunner, ThreadRunner

WAIT_S = 30


def test_what_is_asked_meanwhile_waits_its_turn_and_no_more_than_one() -> None:
    """While one request is under way one more waits; what is asked beyond that is left out."""
    runner = ThreadRunner(lambda error: None, "desk")
    desk = Desk(lambda name: runner, lambda error: None)
    begun, go_on, last = threading.Event(), threading.Event(), threading.Event()
    done: list[str] = []

    def long() -> None:
        begun.set()
        go_on.wait(WAIT_S)
        done.append("first")

    desk.ask("doing", long)
    assert begun.wait(WAIT_S)
    desk.ask("doing", lambda: (done.append("second"), last.set()))
    desk.ask("doing", lambda: done.append("third"))
    go_on.set()
    assert last.wait(WAIT_S)
    desk.ask("doing", lambda: done.append("fourth"))
    ended = threading.Event()
    runner.post(lambda: runner.post(ended.set))
    assert ended.wait(WAIT_S)
    assert done == ["first", "second", "fourth"]
    runner.close()


def test_what_waits_is_done_where_the_show_goes_on() -> None:
    """A request that ends the runner it runs on is followed by the next one, on the runner of the new show."""
    runners = {"now": ThreadRunner(lambda error: None, "old")}
    desk = Desk(lambda name: runners["now"], lambda error: None)
    waits, ended = threading.Event(), threading.Event()

    def change() -> None:
        waits.wait(WAIT_S)
        runners["now"].close()
        runners["now"] = ThreadRunner(lambda error: None, "new")

    desk.ask("beside", change)
    desk.ask("doing", lambda: ended.set() if threading.current_thread().name == "new" else None)
    waits.set()
    assert ended.wait(WAIT_S)
    runners["now"].close()


def test_a_request_that_raises_is_told_and_the_next_is_heard() -> None:
    """What goes wrong in a request is reported, and ends nothing."""
    told: list[Exception] = []
    desk = Desk(lambda name: InlineRunner(told.append), told.append)
    done: list[int] = []
    desk.ask("doing", lambda: 1 // 0)
    desk.ask("doing", lambda: done.append(1))
    assert [type(error) for error in told] == [ZeroDivisionError]
    assert done == [1]


def test_what_was_to_follow_a_failure_is_forgotten() -> None:
    """A step that fails takes back the request that waits for it."""
    desk = Desk(lambda name: InlineRunner(lambda error: None), lambda error: None)
    done: list[str] = []

    def fails() -> None:
        desk.ask("doing", lambda: done.append("skipped"))
        desk.forget()

    desk.ask("doing", fails)
    desk.ask("doing", lambda: done.append("asked for afterwards"))
    assert done == ["asked for afterwards"]
