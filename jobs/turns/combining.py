"""Combine concurrent calls into one (flat combining). Pure: it does not know what is called.

The fixed cost of a call to the database exceeds the cost of its work. So of those that want calls of one group, one
makes a single call for all that are queued at that moment; those that arrive during it are queued for the next.
A call that arrives alone is made at once, and batches grow with the load. See Hendler, Incze, Shavit, Tzafrir, "Flat
combining and the synchronization-parallelism tradeoff", SPAA 2010.

Callers are threads, each of which waits for its result, and tasks of an event loop. The calls of tasks are made in a
thread that goes on with the next batch: a batch of them costs one change of threads, not one for each task.
"""

import asyncio
import itertools
import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from contextvars import copy_context
from typing import Generic, TypeVar

from jobsite.lib.threads import Threads

Item = TypeVar("Item")
Result = TypeVar("Result")


class RetryAlone(Exception):
    """Raised by `execute` when nothing was done for any item, and each call should be made by itself."""


class _QueuedCall(Generic[Item, Result]):
    """One queued caller and its item."""

    __slots__ = ("caller", "error", "item", "leads", "next_in_batch", "result", "retry_alone")

    def __init__(self, caller: Hashable, item: Item) -> None:
        self.caller = caller
        self.item = item
        self.leads = False
        self.retry_alone = False
        self.result: Result | None = None
        self.error: BaseException | None = None
        #: The next call of the same batch, which is woken after this one.
        self.next_in_batch: _QueuedCall[Item, Result] | None = None

    def wake(self) -> None:
        """Wake the caller: the call has its result, or is to lead the next batch."""
        raise NotImplementedError


class _ThreadsCall(_QueuedCall[Item, Result]):
    """The call of a thread."""

    __slots__ = ("ready",)

    def __init__(self, caller: Hashable, item: Item) -> None:
        super().__init__(caller, item)
        #: Released when the caller is woken.
        self.ready = threading.Lock()
        self.ready.acquire()

    def wake(self) -> None:
        self.ready.release()


class _TasksCall(_QueuedCall[Item, Result]):
    """The call of a task on an event loop. `context`: its context variables."""

    __slots__ = ("context", "left", "loop", "threads", "woken")

    def __init__(self, caller: Hashable, item: Item, threads: Threads) -> None:
        super().__init__(caller, item)
        self.threads, self.context = threads, copy_context()
        self.loop = asyncio.get_running_loop()
        self.woken: asyncio.Future[None] = self.loop.create_future()
        #: It is no longer queued, and makes its call by itself.
        self.left = False

    def wake(self) -> None:
        self.threads.resolve(self.woken, None)


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
        queued: _ThreadsCall[Item, Result] = _ThreadsCall(caller, item)
        leads = self._enqueue(group, queued)
        if not leads and not self._await_batch(group, queued):
            return self._execute([item])[0]
        if leads or queued.leads:
            self._execute_batch(group, queued)
            self._appoint_leader(group)
        _wake_after(queued)
        if queued.error is not None:
            raise queued.error
        if queued.retry_alone:
            return self._execute([item])[0]
        return queued.result  # type: ignore[return-value]

    async def call_on_loop(self, group: Hashable, caller: Hashable, item: Item, threads: Threads) -> Result:
        """Return it to a task of an event loop. `threads` make the calls."""
        queued: _TasksCall[Item, Result] = _TasksCall(caller, item, threads)
        if self._enqueue(group, queued):
            threads.start(self._lead, group, queued)
            await queued.woken
        else:
            timer = queued.loop.call_later(self._max_wait, self._leave, group, queued)
            await queued.woken
            timer.cancel()
            if queued.leads:
                # A thread that does not go on has appointed it.
                queued.woken = queued.loop.create_future()
                threads.start(self._lead, group, queued)
                await queued.woken
        if queued.error is not None:
            raise queued.error
        if queued.left or queued.retry_alone:
            return (await threads.run_in_context(self._execute, [item]))[0]
        return queued.result  # type: ignore[return-value]

    def _enqueue(self, group: Hashable, queued: _QueuedCall[Item, Result]) -> bool:
        """Queue the call. True: no call of the group is being made, and this one leads."""
        with self._lock:
            queue = self._queues.get(group)
            if queue is None:
                self._queues[group] = deque()
                return True
            queue.append(queued)
            return False

    def _lead(self, group: Hashable, first: _TasksCall[Item, Result]) -> None:
        """Make the call of a batch, and of those that are queued when it ends, until a thread can lead."""
        leader: _TasksCall[Item, Result] | None = first
        while leader is not None:
            leader.context.run(self._execute_batch, group, leader)
            following = self._appoint_leader(group, of_tasks=True)
            leader.wake()
            _wake_after(leader)
            leader = following

    def _leave(self, group: Hashable, queued: _TasksCall[Item, Result]) -> None:
        """Leave the queue after `max_wait`, unless the call is in a batch that is being executed now."""
        with self._lock:
            queue = self._queues.get(group)
            if queue is None or queued not in queue:
                return
            queue.remove(queued)
        queued.left = True
        queued.woken.set_result(None)

    def _await_batch(self, group: Hashable, queued: _ThreadsCall[Item, Result]) -> bool:
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

    def _appoint_leader(self, group: Hashable, *, of_tasks: bool = False) -> _TasksCall[Item, Result] | None:
        """Let the first queued call lead the next batch, before the calls of this one have woken.

        `of_tasks`: this thread makes the calls of tasks. Returns the leader if it is one of these.
        """
        with self._lock:
            queue = self._queues[group]
            if not queue:
                del self._queues[group]
                return None
            leader = queue.popleft()
        if of_tasks and isinstance(leader, _TasksCall):
            return leader
        leader.leads = True
        leader.wake()
        return None


def _wake_after(queued: _QueuedCall[Item, Result]) -> None:
    """Wake the next calls of the batch, up to a thread's.

    That wakes those after it: all threads woken at once would only contend for the interpreter's lock.
    """
    following = queued.next_in_batch
    while following is not None:
        following.wake()
        following = following.next_in_batch if isinstance(following, _TasksCall) else None
