"""The list of jobs: the admin's own, with its rows and figures from `jobs.lists.job_list`, at a bounded cost."""

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest

from jobs.lists import job_list
from jobs.lists.job_list import Question
from jobs.models import Job, JobQuerySet
from jobs.states import JobStatus


def address(question: Question) -> str:
    """The query string of a question."""
    view = {"view": question.view} if question.view != "all" else {}
    rest = {"status": question.status, "kind": question.kind, "q": question.text}
    at = {"before": question.before, "after": question.after}
    return "?" + urlencode(view | {name: value for name, value in (rest | at).items() if value not in ("", None)})


class JobList(ChangeList):
    """Cursor pages and bounded counts in place of the admin's counting and offsets."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> JobQuerySet:
        """All that match, without an order: for actions."""
        self.question = Question.of(request.GET)
        self.filter_specs, self.has_filters, self.has_active_filters = [], False, False
        self.clear_all_filters_qs = "?"
        return self.question.jobs().order_by()

    def get_results(self, request: HttpRequest) -> None:
        # An action needs the jobs it is about, and no page of the list.
        here = request.method == "POST" and ACTION_CHECKBOX_NAME in request.POST
        self.page = job_list.Page([]) if here else job_list.page(self.question)
        self.counts = None if here else job_list.counts(self.question)
        self.result_list = self.page.jobs
        self.result_count = len(self.page.jobs)
        self.full_result_count = None
        self.show_full_result_count = False
        self.show_admin_actions = True
        self.can_show_all, self.multi_page = True, False
        self.paginator = self.model_admin.get_paginator(request, Job.objects.none(), self.list_per_page)

    # --- What the template shows ---

    def get_ordering(self, request: HttpRequest, queryset: Any) -> Any:
        """The newest first; a page begins after an id, so there is no other order."""
        return ["-id"]

    def views(self) -> list[dict[str, Any]]:
        """The saved views, with how many jobs are in each."""
        assert self.counts is not None  # noqa: S101  the template is for GET
        one = replace(self.question, before=None, after=None, text="", status="")
        return [
            {
                "name": title,
                "url": address(replace(one, view=name)),
                "count": self.counts.views[name],
                "here": self.question.view == name and not self.question.status,
            }
            for name, (title, _) in job_list.VIEWS.items()
        ]

    def statuses(self) -> list[dict[str, Any]]:
        """The filter by status; a view is left for it."""
        assert self.counts is not None  # noqa: S101
        one = replace(self.question, before=None, after=None, view="all")
        return [
            {"name": s, "url": address(replace(one, status=s)), "count": n, "here": self.question.status == s}
            for s, n in self.counts.statuses.items()
        ]

    def kinds(self) -> list[dict[str, Any]]:
        """The filter by kind, with how many of this view (or what share of its newest) each has."""
        assert self.counts is not None  # noqa: S101
        one = replace(self.question, before=None, after=None)
        return [
            {"name": k, "url": address(replace(one, kind=k)), "count": n, "here": self.question.kind == k}
            for k, n in self.counts.kinds
        ]

    def links(self) -> dict[str, str]:
        """Where the pages beside this one are, and this question without its parts."""
        one = replace(self.question, before=None, after=None)
        page = self.page
        found = {
            "newest": address(one) if self.question.before or self.question.after else "",
            "newer": address(replace(one, after=page.newer)) if page.newer else "",
            "older": address(replace(one, before=page.older)) if page.older else "",
            "further": address(replace(one, before=page.looked_to)) if page.looked_to else "",
            "any_kind": address(replace(one, kind="")) if one.kind else "",
            "any_status": address(replace(one, status="")) if one.status else "",
            "no_search": address(replace(one, text="")) if one.text else "",
        }
        return {name: url for name, url in found.items() if url}

    #: How many of a view are looked through for what no index knows.
    searched = job_list.SEARCHED

    @property
    def empty(self) -> str:
        """What an empty page says."""
        if self.question.text or self.question.kind:
            return "No job here matches."
        if self.question.status:
            return f"No job is {JobStatus(self.question.status).value}."
        return job_list.VIEWS[self.question.view][1]

    @property
    def query(self) -> str:
        return self.question.text if hasattr(self, "question") else ""

    @query.setter
    def query(self, value: str) -> None:
        """The admin's own search form has nothing to add."""
