"""Signals while the server is made ready."""

import gc
import signal
import weakref

import pytest

from app.commands.server import _signals_held


class Thing:
    """Something that a weak reference can be to."""


def test_a_signal_in_a_callback_of_the_collector_is_not_lost() -> None:
    """Python drops what is raised in such a callback, the exception of Ctrl-C as well."""

    def interrupted(_: weakref.ref[Thing]) -> None:
        signal.raise_signal(signal.SIGINT)
        came.append(True)

    def let_go() -> None:
        with _signals_held():
            things.clear()
            gc.collect()

    came: list[bool] = []
    things = [Thing()]
    kept = weakref.ref(things[0], interrupted)
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            let_go()
        assert (kept(), came) == (None, [True])
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_nothing_is_raised_where_none_came() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with _signals_held():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
