"""The queue and its account."""

import threading

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from settings.websocket.outbox import Delivery, Outbox


class OutboxLaws(RuleBasedStateMachine):
    """Any order of calls, held against a model that is a list."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 3
        self.outbox = Outbox(self.size, clock=lambda: 1.5)
        self.calls = self.lost = 0
        self.model: list[str] = []
        self.in_hand: str | None = None
        self.sent: list[str] = []
        self.open, self.asleep = True, False

    @rule()
    def offer(self) -> None:
        """The application sends."""
        self.calls += 1
        delivery, wake = self.outbox.offer(str(self.calls), "null")
        assert delivery is (Delivery.QUEUED if self.open else Delivery.DROPPED)
        if self.open:
            assert wake is self.asleep
            self.asleep = False
            self.model.append(str(self.calls))
            self.lost += len(self.model) > self.size
            self.model = self.model[-self.size :]
        else:
            self.lost += 1

    @rule()
    def refuse(self) -> None:
        """The application sends what cannot be encoded."""
        self.calls += 1
        self.lost += 1
        assert self.outbox.refuse() is Delivery.DROPPED

    @rule(fails=st.booleans())
    def take(self, fails: bool) -> None:
        """The sender takes one, and the network takes it, or not yet."""
        if self.in_hand is not None:
            return
        queued = self.outbox.take()
        assert (queued is None) is (not self.model)
        self.asleep = queued is None
        if queued is None:
            return
        assert queued == (self.model.pop(0), "null", 1.5)
        self.in_hand = queued[0]
        if not fails:
            self.sent.append(self.in_hand)
            self.in_hand = None
            self.outbox.sent()

    @rule()
    def written(self) -> None:
        """A write that hung comes to its end, perhaps after everybody has given it up."""
        self.outbox.sent()
        if self.in_hand is not None:
            self.sent.append(self.in_hand)
        self.in_hand = None

    @rule()
    def put_back(self) -> None:
        """The connection ends."""
        self.outbox.put_back()
        self.asleep = False
        if self.in_hand is not None and len(self.model) < self.size:
            self.model.insert(0, self.in_hand)
        elif self.in_hand is not None:
            self.lost += 1
        self.in_hand = None

    @rule()
    def close(self) -> None:
        """The process begins to end."""
        self.outbox.close()
        self.open = False

    @rule()
    def abandon(self) -> None:
        """The process ends with events that nobody will send."""
        self.lost += len(self.model) + (self.in_hand is not None)
        self.model, self.in_hand = [], None
        self.outbox.abandon()

    @invariant()
    def every_call_is_accounted_for(self) -> None:
        """Sent, queued and dropped add up to the calls, always, and events leave in their order."""
        account = self.outbox.account()
        assert account.calls == self.calls == account.sent + account.queued + account.dropped
        assert account.queued == len(self.model) + (self.in_hand is not None)
        assert (account.sent, account.dropped) == (len(self.sent), self.lost)
        assert [int(name) for name in self.sent] == sorted(int(name) for name in self.sent)


OutboxLaws.TestCase.settings = hypothesis_settings(max_examples=60, stateful_step_count=40, deadline=None)
TestOutboxLaws = OutboxLaws.TestCase


def test_a_signal_handler_may_send_while_its_thread_sends() -> None:
    """The clock runs inside of the lock: what calls from there stands for a signal or a finalizer at that point."""
    nested: list[Delivery] = []

    def clock() -> float:
        if not nested:
            nested.append(Delivery.DROPPED)
            nested.append(outbox.offer("nested", "null")[0])
        return 1.0

    outbox = Outbox(5, clock=clock)
    outbox.offer("outer", "null")
    assert nested[1] is Delivery.QUEUED
    assert outbox.account().calls == outbox.account().queued == 2


def test_calls_of_many_threads_are_all_accounted_for() -> None:
    """The account holds at every moment that another thread looks."""
    outbox, done = Outbox(50), threading.Event()
    wrong: list[object] = []

    def look() -> None:
        while not done.is_set():
            account = outbox.account()
            if account.calls != account.sent + account.queued + account.dropped:
                wrong.append(account)
            if outbox.take() is not None:
                outbox.sent()

    def call() -> None:
        for _ in range(500):
            outbox.offer("event", "null")

    looker, callers = threading.Thread(target=look), [threading.Thread(target=call) for _ in range(4)]
    for thread in (looker, *callers):
        thread.start()
    for thread in callers:
        thread.join()
    done.set()
    looker.join()
    assert not wrong
    assert outbox.account().calls == 2000
