"""Combine concurrent calls into one (flat combining). Pure: it does not know what is called.

The fixed cost of a call to the database exceeds the cost of its work. So of the threads that want calls of one group,
one makes a single call for all that are queued at that moment; those that arrive during it are queued for the next.
A call that arrives alone is made at once, and batches grow with the load. See Hendler, Incze, Shavit, Tzafrir, "Flat
combining and the synchronization-parallelism tradeoff", SPAA 2010.
"""

import itertools
import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class RetryAlone(Exception):
    """Raised by `execute` when nothing was done for any item, and each call should be made by itself."""


class _QueuedCall(Generic[Item, Result]):
    """One queued caller and its item."""

    __slots__ = ("caller", "error", "item", "leads", "next_in_batch", "ready", "result", "retry_alone")

    def __init__(self, caller: Hashable, item: Item) -> None:
        self.caller = caller
        self.item = item
        #: Released when the call has its result, or is to lead the next batch.
        self.ready = threading.Lock()
        self.ready.acquire()
        self.leads = False
        self.retry_alone = False
        self.result: Result | None = None
        self.error: BaseException | None = None
        #: The next call of the same batch, which this one wakes.
        self.next_in_batch: _QueuedCall[Item, Result] | None = None

    def wake_next(self) -> None:
        """Wake the next call of the batch: all woken at once would only contend for the interpreter's lock."""
        if self.next_in_batch is not None:
            self.next_in_batch.ready.release()


class Combiner(Generic[Item, Result]):
    """Combines calls of `execute`, which takes items and returns a result for each, in order.

    `max_batch`: items in one call. `max_wait`: seconds after which a call that is still queued is made by itself.
    """

    def __init__(
        self, execute: Callable[[Sequence[Item]], Sequence[Result]], *, max_batch: int, max_wait: float
    ) -> None:
        self._execute = execute
        self._max_batch = max_batch
        self._max_wait = max_wait
        self._queues: dict[Hashable, deque[_QueuedCall[Item, Result]]] = {}
        self._lock = threading.Lock()

    def call(self, group: Hashable, caller: Hashable, item: Item) -> Result:
        """Return the result for this item. Only items of one `group` are combined, and one item of each `caller`."""
        queued = _QueuedCall[Item, Result](caller, item)
        with self._lock:
            queue = self._queues.get(group)
            if queue is None:
                self._queues[group] = deque()
                queued.leads = True
            else:
                queue.append(queued)
        if not queued.leads and not self._await_batch(group, queued):
            return self._execute([item])[0]
        if queued.leads:
            self._execute_batch(group, queued)
        queued.wake_next()
        if queued.error is not None:
            raise queued.error
        if queued.retry_alone:
            return self._execute([item])[0]
        return queued.result  # type: ignore[return-value]

    def _await_batch(self, group: Hashable, queued: _QueuedCall[Item, Result]) -> bool:
        """Wait for the result or to lead. False: it took too long, and the call is no longer queued."""
        if queued.ready.acquire(timeout=self._max_wait):
            return True
        with self._lock:
            queue = self._queues.get(group)
            if queue is not None and queued in queue:
                queue.remove(queued)
                return False
        # It is in a batch that is being executed now.
        queued.ready.acquire()
        return True

    def _execute_batch(self, group: Hashable, leader: _QueuedCall[Item, Result]) -> None:
        batch = self._take_batch(group, leader)
        try:
            results = self._execute([queued.item for queued in batch])
            for queued, result in zip(batch, results, strict=True):
                queued.result = result
        except RetryAlone:
            for queued in batch:
                queued.retry_alone = True
        except BaseException as error:
            for queued in batch:
                queued.error = error
        finally:
            for queued, next_in_batch in itertools.pairwise(batch):
                queued.next_in_batch = next_in_batch
            self._appoint_leader(group)

    def _take_batch(self, group: Hashable, leader: _QueuedCall[Item, Result]) -> list[_QueuedCall[Item, Result]]:
        batch, callers, skipped = [leader], {leader.caller}, deque[_QueuedCall[Item, Result]]()
        with self._lock:
            queue = self._queues[group]
            while queue and len(batch) < self._max_batch:
                queued = queue.popleft()
                if queued.caller in callers:
                    skipped.append(queued)
                else:
                    callers.add(queued.caller)
                    batch.append(queued)
            queue.extendleft(reversed(skipped))
        return batch

    def _appoint_leader(self, group: Hashable) -> None:
        """Let the first queued call lead the next batch, before the calls of this one have woken."""
        with self._lock:
            queue = self._queues[group]
            if queue:
                leader = queue.popleft()
                leader.leads = True
                leader.ready.release()
            else:
                del self._queues[group]
