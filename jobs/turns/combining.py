"""Combine calls that come at the same time into one (flat combining). Pure: it knows nothing of what is called.

A call to the database costs more by being made than by what it does. So of the threads that want the same sort of call
one makes it, for all who stand in line at that moment; whoever comes meanwhile stands in the next line. Nobody waits
for company: a call that comes alone is made at once, and the more come, the more are made as one. (Known as flat
combining: Hendler, Incze, Shavit, Tzafrir, "Flat combining and the synchronization-parallelism tradeoff", SPAA 2010.)
"""

import itertools
import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class RetryAlone(Exception):
    """What `do` raises when nothing was done for anybody, and each should try by itself."""


class _Place(Generic[Item, Result]):
    """Where one thread stands in line."""

    __slots__ = ("alone", "error", "following", "gate", "item", "leads", "result", "who")

    def __init__(self, who: Hashable, item: Item) -> None:
        self.who = who
        self.item = item
        self.gate = threading.Lock()
        self.gate.acquire()
        self.leads = False
        self.alone = False
        self.result: Result | None = None
        self.error: BaseException | None = None
        #: Who was carried with it, and is woken by it.
        self.following: _Place[Item, Result] | None = None

    def wake_following(self) -> None:
        """One wakes the next: woken all at once, they would only wait for each other to let go of the interpreter."""
        if self.following is not None:
            self.following.gate.release()


class Together(Generic[Item, Result]):
    """Makes calls together. `do` is given items and returns a result for each, in order.

    `most`: items in one call. `patience`: seconds after which a thread that still stands in line makes its call itself.
    """

    def __init__(self, do: Callable[[Sequence[Item]], Sequence[Result]], *, most: int, patience: float) -> None:
        self._do = do
        self._most = most
        self._patience = patience
        self._lines: dict[Hashable, deque[_Place[Item, Result]]] = {}
        self._lock = threading.Lock()

    def call(self, sort: Hashable, who: Hashable, item: Item) -> Result:
        """The result for this item. Only items of one `sort` go together, and never two of the same `who`."""
        place = _Place[Item, Result](who, item)
        with self._lock:
            line = self._lines.get(sort)
            if line is None:
                self._lines[sort] = deque()
                place.leads = True
            else:
                line.append(place)
        if not place.leads and not self._carried(sort, place):
            return self._do([item])[0]
        if place.leads:
            self._lead(sort, place)
        place.wake_following()
        if place.error is not None:
            raise place.error
        if place.alone:
            return self._do([item])[0]
        return place.result  # type: ignore[return-value]

    def _carried(self, sort: Hashable, place: _Place[Item, Result]) -> bool:
        """Wait to be carried or to lead. False: it took too long, and this place stands in line no more."""
        if place.gate.acquire(timeout=self._patience):
            return True
        with self._lock:
            line = self._lines.get(sort)
            if line is not None and place in line:
                line.remove(place)
                return False
        # Somebody is carrying it just now.
        place.gate.acquire()
        return True

    def _lead(self, sort: Hashable, own: _Place[Item, Result]) -> None:
        group = self._gather(sort, own)
        try:
            results = self._do([place.item for place in group])
            for place, result in zip(group, results, strict=True):
                place.result = result
        except RetryAlone:
            for place in group:
                place.alone = True
        except BaseException as error:
            for place in group:
                place.error = error
        finally:
            for place, following in itertools.pairwise(group):
                place.following = following
            self._hand_on(sort)

    def _gather(self, sort: Hashable, own: _Place[Item, Result]) -> list[_Place[Item, Result]]:
        group, seen, left = [own], {own.who}, deque[_Place[Item, Result]]()
        with self._lock:
            line = self._lines[sort]
            while line and len(group) < self._most:
                place = line.popleft()
                if place.who in seen:
                    left.append(place)
                else:
                    seen.add(place.who)
                    group.append(place)
            line.extendleft(reversed(left))
        return group

    def _hand_on(self, sort: Hashable) -> None:
        """The next in line leads now, before those who were carried have even woken."""
        with self._lock:
            line = self._lines[sort]
            if line:
                following = line.popleft()
                following.leads = True
                following.gate.release()
            else:
                del self._lines[sort]
