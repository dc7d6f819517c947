"""The list of jobs in the admin, with rows and counts from `jobs.lists.job_list` at a bounded cost."""

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from jobs import payloads
from jobs.lists import job_list
from jobs.lists.job_list import JobFilter
from jobs.lists.search import parse
from jobs.models import Job, JobQuerySet
from jobs.states import JobStatus
from jobs.stats.counts import Count


def query_string(job_filter: JobFilter) -> str:
    """The query string of a filter."""
    view = {"view": job_filter.view} if job_filter.view != "all" else {}
    rest = {"status": job_filter.status, "kind": job_filter.kind, "q": job_filter.text}
    at = {"before": job_filter.before, "after": job_filter.after}
    return "?" + urlencode(view | {name: value for name, value in (rest | at).items() if value not in ("", None)})


def asked_filter(request: HttpRequest) -> JobFilter:
    """The filter that a request asks for. PermissionDenied for a search in payloads by somebody who may see none."""
    job_filter = JobFilter.from_params(request.GET)
    if parse(job_filter.text).reads_payloads and not payloads.may_see(request.user):
        raise PermissionDenied(f"Searching payloads and errors needs the permission {payloads.PERMISSION}.")
    return job_filter


class JobList(ChangeList):
    """Cursor pages and bounded counts instead of the admin's counts and offsets."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> JobQuerySet:
        """All matching jobs, unordered, for actions."""
        self.job_filter = asked_filter(request)
        self.filter_specs, self.has_filters, self.has_active_filters = [], False, False
        self.clear_all_filters_qs = "?"
        return self.job_filter.jobs().order_by()

    def get_results(self, request: HttpRequest) -> None:
        # An action needs only the selected jobs, not a page of the list.
        is_action = request.method == "POST" and ACTION_CHECKBOX_NAME in request.POST
        self.page = job_list.Page([]) if is_action else job_list.page(self.job_filter)
        # Nor does one that is only to refresh the rows need counts.
        refreshing = bool(request.htmx)  # type: ignore[attr-defined]
        self.counts = None if is_action or refreshing else job_list.counts(self.job_filter)
        self.result_list = self.page.jobs
        self.result_count = len(self.page.jobs)
        self.full_result_count = None
        self.show_full_result_count = False
        self.show_admin_actions = True
        self.can_show_all, self.multi_page = True, False
        self.paginator = self.model_admin.get_paginator(request, Job.objects.none(), self.list_per_page)

    # --- For the template ---

    @property
    def costly(self) -> bool:
        """Whether the list searches jobs one by one: such a one is not refreshed by itself."""
        return self.job_filter.narrow

    def get_ordering(self, request: HttpRequest, queryset: Any) -> Any:
        """The newest first. Pages begin after an id, so there is no other order."""
        return ["-id"]

    def views(self) -> list[dict[str, Any]]:
        """The saved views with their counts."""
        assert self.counts is not None  # noqa: S101  the template is used for GET only
        one = replace(self.job_filter, before=None, after=None, text="", status="")
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
        one = replace(self.job_filter, before=None, after=None, view="all")
        return [
            {"name": s, "url": query_string(replace(one, status=s)), "count": n, "here": self.job_filter.status == s}
            for s, n in self.counts.statuses.items()
        ]

    def kinds(self) -> list[dict[str, Any]]:
        """The filter by kind, with each kind's count or share in this view."""
        assert self.counts is not None  # noqa: S101
        one = replace(self.job_filter, before=None, after=None)
        return [
            {"name": k, "url": query_string(replace(one, kind=k)), "count": n, "here": self.job_filter.kind == k}
            for k, n in self.counts.kinds
        ]

    def links(self) -> dict[str, str]:
        """Links to adjacent pages, and to this list with single filters removed."""
        one = replace(self.job_filter, before=None, after=None)
        page = self.page
        links = {
            "newest": query_string(one) if self.job_filter.before or self.job_filter.after else "",
            "newer": query_string(replace(one, after=page.newer)) if page.newer else "",
            "older": query_string(replace(one, before=page.older)) if page.older else "",
            "further": query_string(replace(one, before=page.searched_to)) if page.searched_to else "",
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
        return job_list.matching(self.job_filter, self.job_filter.statuses(JobStatus.values))

    #: The most jobs searched by conditions without an index.
    searched = job_list.SEARCHED

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
