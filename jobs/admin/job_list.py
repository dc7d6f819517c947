"""The list of jobs in the admin, with rows and counts from `jobs.lists.job_list` at a bounded cost."""

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from bots.models import Bot
from jobs import payloads
from jobs.admin.job_columns import COLUMNS, OF_PAYLOADS, OF_VIEW, USUAL
from jobs.lists import job_list
from jobs.lists.job_list import JobFilter
from jobs.lists.rows import ORDERS
from jobs.lists.search import FIELDS
from jobs.models import ErrorGroup, Job, JobKind, JobQuerySet, SavedSearch
from jobs.states import JobStatus
from jobs.stats.counts import Count

#: Error groups above the failed jobs, and names of kinds and bots that the search suggests.
GROUPS_SHOWN, SUGGESTED = 4, 200
#: Where a session keeps the chosen columns, by view.
CHOSEN = "job_columns"


def query_string(job_filter: JobFilter) -> str:
    """The query string of a filter."""
    view = {"view": job_filter.view} if job_filter.view != "all" else {}
    rest = {"status": job_filter.status, "kind": job_filter.kind, "q": job_filter.text, "order": job_filter.order}
    at = {"before": job_filter.before, "after": job_filter.after, "skip": job_filter.skip or None}
    return "?" + urlencode(view | {name: value for name, value in (rest | at).items() if value not in ("", None)})


def asked_filter(request: HttpRequest) -> JobFilter:
    """The filter that a request asks for. PermissionDenied for a search in payloads by somebody who may see none."""
    job_filter = replace(JobFilter.from_params(request.GET), sees_payloads=payloads.may_see(request.user))
    if job_filter.terms.reads_payloads and not job_filter.sees_payloads:
        raise PermissionDenied(f"Searching payloads and errors needs the permission {payloads.PERMISSION}.")
    return job_filter


def chosen_columns(request: HttpRequest, view: str) -> list[str]:
    """The columns that this person has chosen for a view, or that it has anyway. `column` in the address chooses."""
    kept = request.session.get(CHOSEN, {})
    if "column" in request.GET:
        asked = [name for name in COLUMNS if name in request.GET.getlist("column")]
        if kept.get(view) != asked:
            request.session[CHOSEN] = kept = kept | {view: asked}
    names = kept.get(view) or OF_VIEW.get(view, USUAL)
    hidden = () if payloads.may_see(request.user) else OF_PAYLOADS
    return [name for name in names if name in COLUMNS and name not in hidden]


class JobList(ChangeList):
    """Cursor pages and bounded counts instead of the admin's counts and offsets."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> JobQuerySet:
        """All matching jobs, unordered, for actions."""
        self.job_filter = asked_filter(request)
        self.request = request
        self.filter_specs, self.has_filters, self.has_active_filters = [], False, False
        self.clear_all_filters_qs = "?"
        return self.job_filter.jobs().order_by()

    def get_results(self, request: HttpRequest) -> None:
        # An action needs only the selected jobs, not a page of the list.
        is_action = request.method == "POST" and ACTION_CHECKBOX_NAME in request.POST
        # Nor does one that is only to refresh the rows need counts.
        refreshing = bool(request.htmx)  # type: ignore[attr-defined]
        self.counts = None if is_action or refreshing else job_list.counts(self.job_filter)
        self.page = job_list.Page([]) if is_action else job_list.page(self.job_filter, self.counts)
        self.result_list = self._with_groups(self.page.jobs)
        self.result_count = len(self.page.jobs)
        self.full_result_count = None
        self.show_full_result_count = False
        self.show_admin_actions = True
        self.can_show_all, self.multi_page = True, False
        self.paginator = self.model_admin.get_paginator(request, Job.objects.none(), self.list_per_page)

    def _with_groups(self, jobs: list[Job]) -> list[Job]:
        """The jobs of the page, each with the id of its error group."""
        keys = {(job.kind_id, job.fingerprint) for job in jobs if job.fingerprint}  # type: ignore[attr-defined]
        if keys and self._sees_groups:
            rows = ErrorGroup.objects.filter(kind__in={kind for kind, _ in keys}, fingerprint__in={f for _, f in keys})
            ids = {(kind, of): pk for kind, of, pk in rows.values_list("kind", "fingerprint", "pk")}
            for job in jobs:
                job.error_group = ids.get((job.kind_id, job.fingerprint))  # type: ignore[attr-defined]
        return jobs

    @property
    def _sees_groups(self) -> bool:
        return self.job_filter.sees_payloads and self.request.user.has_perm("jobs.view_errorgroup")

    # --- For the template ---

    @property
    def costly(self) -> bool:
        """Whether the list searches jobs one by one: such a one is not refreshed by itself."""
        return self.job_filter.narrow

    def get_ordering(self, request: HttpRequest, queryset: Any) -> Any:
        """The newest first. `JobFilter.order` says otherwise."""
        return ["-id"]

    @property
    def _first_page(self) -> JobFilter:
        return replace(self.job_filter, before=None, after=None, skip=0)

    def views(self) -> list[dict[str, Any]]:
        """The saved views with their counts."""
        assert self.counts is not None  # noqa: S101  the template is used for GET only
        one = replace(self._first_page, text="", status="", order="")
        return [
            {
                "name": title,
                "url": query_string(replace(one, view=name)),
                "count": self.counts.views[name],
                "here": self.job_filter.view == name and not self.job_filter.status,
            }
            for name, (title, _) in job_list.VIEWS.items()
        ]

    def statuses(self) -> list[dict[str, Any]]:
        """The filter by status. Choosing one leaves the view."""
        assert self.counts is not None  # noqa: S101
        one = replace(self._first_page, view="all")
        return [
            {"name": s, "url": query_string(replace(one, status=s)), "count": n, "here": self.job_filter.status == s}
            for s, n in self.counts.statuses.items()
        ]

    def kinds(self) -> list[dict[str, Any]]:
        """The filter by kind, with each kind's count or share in this view."""
        assert self.counts is not None  # noqa: S101
        one = self._first_page
        return [
            {"name": k, "url": query_string(replace(one, kind=k)), "count": n, "here": self.job_filter.kind == k}
            for k, n in self.counts.kinds
        ]

    def orders(self) -> list[dict[str, Any]]:
        """The orders that the list can have. Choosing one again turns it round."""
        one, now = self._first_page, self.job_filter.order
        orders = [{"name": "newest first", "url": query_string(replace(one, order="")), "here": not now}]
        for name in ORDERS:
            turned = now == name
            url = query_string(replace(one, order=f"-{name}" if turned else name))
            orders.append({"name": name, "url": url, "here": now.lstrip("-") == name})
        return orders

    def columns(self) -> list[dict[str, Any]]:
        """The columns that one can choose."""
        shown = chosen_columns(self.request, self.job_filter.view)
        hidden = () if self.job_filter.sees_payloads else OF_PAYLOADS
        return [
            {"name": name, "heading": heading, "shown": name in shown}
            for name, (_, heading) in COLUMNS.items()
            if name not in hidden
        ]

    def kept(self) -> dict[str, Any]:
        """What a form that chooses columns keeps of the address."""
        one = self.job_filter
        named = {"view": one.view, "status": one.status, "kind": one.kind, "q": one.text, "order": one.order}
        return {name: value for name, value in named.items() if value and (name, value) != ("view", "all")}

    def error_groups(self) -> list[ErrorGroup]:
        """The error groups that failed last, above the failed jobs."""
        if self.job_filter.view != "failed" or self.job_filter.text or not self._sees_groups:
            return []
        groups = ErrorGroup.objects.open()
        groups = groups.filter(kind=self.job_filter.kind) if self.job_filter.kind else groups
        return list(groups.only("kind", "words", "count", "last_at")[:GROUPS_SHOWN])

    def saved(self) -> list[SavedSearch]:
        """Searches that somebody saved."""
        return list(SavedSearch.objects.only("name", "address", "by")[:SUGGESTED])

    def address(self) -> str:
        """The query string of this list, from its first page."""
        return query_string(self._first_page)

    def suggestions(self) -> list[str]:
        """What an empty search suggests: its fields, and the names of kinds and bots."""
        if self.job_filter.text:
            return [example for example, _ in FIELDS.values()]
        kinds = JobKind.objects.order_by("name").values_list("name", flat=True)
        bots = Bot.objects.order_by("name").values_list("name", flat=True)
        names = kinds.union(bots, all=True)[:SUGGESTED]
        return [example for example, _ in FIELDS.values()] + list(names)

    def links(self) -> dict[str, str]:
        """Links to adjacent pages, and to this list with single filters removed."""
        one, page = self._first_page, self.page
        skipped = bool(self.job_filter.skip)
        links = {
            "newest": query_string(one) if self.job_filter.before or self.job_filter.after or skipped else "",
            "newer": query_string(replace(one, after=page.newer)) if page.newer else "",
            "older": query_string(replace(one, before=page.older)) if page.older else "",
            "more": query_string(replace(one, skip=page.next_skip)) if page.next_skip else "",
            "further": query_string(replace(one, before=page.searched_to, order="")) if page.searched_to else "",
            "any_kind": query_string(replace(one, kind="")) if one.kind else "",
            "any_status": query_string(replace(one, status="")) if one.status else "",
            "no_search": query_string(replace(one, text="")) if one.text else "",
        }
        return {name: url for name, url in links.items() if url}

    @property
    def all_that_match(self) -> Count:
        """How many jobs an action on all of them would be about: of a search what it finds, else those of the list."""
        if not self.job_filter.text or self.counts is None:
            return self.counts.matching if self.counts else Count(0)
        if not (self.page.older or self.page.newer or self.page.searched_to or self.job_filter.before):
            return Count(len(self.page.jobs))
        if self.page.matches is not None:
            return self.page.matches
        return job_list.matching(self.job_filter, self.job_filter.statuses(JobStatus.values))

    @property
    def empty(self) -> str:
        """The text of an empty page."""
        if self.job_filter.text or self.job_filter.kind:
            return "No job here matches."
        if self.job_filter.status:
            return f"No job is {JobStatus(self.job_filter.status).value}."
        return job_list.VIEWS[self.job_filter.view][1]

    @property
    def query(self) -> str:
        return self.job_filter.text if hasattr(self, "job_filter") else ""

    @query.setter
    def query(self, value: str) -> None:
        """Ignored: the admin sets it, but the filter has the search."""
