"""Signals: a request at first; a Ctrl-C after that is an order."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from sparring.errors import Interrupted
from sparring.training.interrupts import Interrupts, acknowledgement


def silent(text: str) -> None:
    pass


def test_the_first_is_a_request_and_the_second_an_order() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts(silent) as interrupts:
        interrupts.begun()
        assert not interrupts.requested
        signal.raise_signal(signal.SIGINT)
        assert interrupts.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)  # a third one changes nothing
    assert signal.getsignal(signal.SIGINT) is before


def test_the_first_cuts_off_what_a_resume_repeats() -> None:
    with Interrupts(silent) as interrupts:
        interrupts.begun()
        with interrupts.cutting_off():
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("not reached")
        assert interrupts.requested
        with pytest.raises(KeyboardInterrupt), interrupts.cutting_off():
            signal.raise_signal(signal.SIGINT)  # a second one stops at once, here too


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_are_requests_however_often_they_come(number: signal.Signals) -> None:
    """A session that ends may send SIGTERM and SIGHUP, one after the other."""
    outside = signal.signal(number, signal.SIG_DFL)  # `nohup` lets it be ignored
    before = signal.getsignal(number)
    heard: list[str] = []
    with Interrupts(heard.append) as interrupts:
        interrupts.begun()
        for again in (number, number, signal.SIGTERM):
            signal.raise_signal(again)
        assert interrupts.signal == number
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert heard == [f"{number.name}: stopping after this round, and saving"]
    assert signal.getsignal(number) is before
    signal.signal(number, outside)


def test_a_signal_that_is_ignored_as_below_nohup_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts(silent) as interrupts:
            interrupts.begun()
            signal.raise_signal(signal.SIGHUP)
            assert not interrupts.requested
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_first_is_acknowledged_while_the_main_thread_is_in_a_long_call() -> None:
    """A sleep of which Python restarts the rest after the handler stands for a call into C."""
    heard: list[tuple[str, float]] = []
    said = threading.Event()

    def say(text: str) -> None:
        heard.append((text, time.monotonic()))
        said.set()

    with Interrupts(say) as interrupts:
        interrupts.begun()
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        time.sleep(3.0)
        woke = time.monotonic()
        assert interrupts.requested
        assert said.wait(60.0)
    [(text, when)] = heard
    assert text == acknowledgement(signal.SIGINT)
    assert when < woke - 1.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_before_the_run_has_begun_the_first_is_an_order(number: signal.Signals) -> None:
    """Nothing can be lost yet; a second one may not cut off what ends the workers."""
    heard: list[str] = []
    with Interrupts(heard.append) as interrupts:
        with pytest.raises(Interrupted) as caught:
            signal.raise_signal(number)
        signal.raise_signal(number)
        assert interrupts.signal == number
    assert caught.value.signal == number
    assert heard == []


def test_a_block_without_a_signal_says_nothing() -> None:
    heard: list[str] = []
    threads = threading.active_count()
    with Interrupts(heard.append):
        pass
    assert heard == []
    assert threading.active_count() == threads
    assert signal.set_wakeup_fd(-1) == -1


def test_what_was_there_before_comes_back_after_an_error() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError), Interrupts(silent):
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is before


def test_another_thread_changes_nothing() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work() -> None:
        with Interrupts(silent) as interrupts:
            seen.append(interrupts.requested or signal.getsignal(signal.SIGINT) is not before)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
