"""The list of kinds in the admin: the queue of each, sorted by any column."""

from typing import Any

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import InvalidPage, Paginator
from django.http import HttpRequest

from jobs.lists import queues

#: The most kinds whose queues are looked at, those with the first names.
MOST = 1000
SORT = "sort"
#: Columns of which the largest come first when they are chosen.
FALLING = tuple(name for name, *_ in queues.COLUMNS if name != "kind")


class KindList(ChangeList):
    """Kinds with their queues, a fixed number of queries for all rows."""

    def get_filters_params(self, params: Any = None) -> Any:
        return {name: value for name, value in super().get_filters_params(params).items() if name != SORT}

    def get_results(self, request: HttpRequest) -> None:
        self.sort = request.GET.get(SORT, "kind")
        is_action = request.method == "POST" and ACTION_CHECKBOX_NAME in request.POST
        kinds = [] if is_action else list(self.queryset.order_by("name")[: MOST + 1])
        self.left_out = len(kinds) > MOST
        rows = queues.ordered(kinds[:MOST], self.sort)
        paginator: Any = Paginator(rows, self.list_per_page)
        try:
            shown = [] if is_action else paginator.page(self.page_num).object_list
        except InvalidPage:
            raise IncorrectLookupParameters from None
        self.result_list = queues.completed(shown, self.sort)
        self.paginator, self.result_count = paginator, len(rows)
        self.full_result_count, self.show_full_result_count = None, False
        self.show_admin_actions, self.can_show_all = True, False
        self.multi_page = len(rows) > self.list_per_page

    @property
    def columns(self) -> list[dict[str, Any]]:
        """The headings, each with the address of the list sorted by it."""
        columns = []
        for name, heading, *_ in queues.COLUMNS:
            first, other = (f"-{name}", name) if name in FALLING else (name, f"-{name}")
            url = self.get_query_string({SORT: other if self.sort == first else first}, ["p"])
            order = {name: "ascending", f"-{name}": "descending"}.get(self.sort, "")
            columns.append({"name": name, "heading": heading, "url": url, "order": order, "num": name != "kind"})
        return columns

    @property
    def views(self) -> list[dict[str, Any]]:
        """All kinds, and those that are paused."""
        here = self.params.get("paused__exact")
        here = here[-1] if isinstance(here, list) else here
        paused = {"name": "Paused", "url": self.get_query_string({"paused__exact": "1"}, ["p"]), "here": here == "1"}
        every = {"name": "All", "url": self.get_query_string(remove=["paused__exact", "p"]), "here": here is None}
        return [every, paused]
