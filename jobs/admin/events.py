"""The history in the admin. Read only."""

from typing import Any

from django.contrib import admin
from django.contrib.admin import ShowFacets
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.functional import cached_property
from django.utils.html import format_html

from jobs import payloads
from jobs.admin import release_patterns
from jobs.models import JobEvent
from jobsite.lib.badges import age


class CappedPaginator(Paginator):
    """Count up to a limit, so that a list of ten million rows does not scan them."""

    LIMIT = 10_000

    @cached_property
    def count(self) -> int:
        return int(self.object_list[: self.LIMIT].count())  # type: ignore[attr-defined]


#: The newest events that the list covers. A job's page has all of its events.
NEWEST_LISTED = 100_000


class NewestEvents(ChangeList):
    """Only the newest events, so that a search for rare ones does not read the whole history."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = payloads.events_for(request.user, self.result_list)

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> Any:
        # Counted, and not by the distance of their ids: a restore leaves a gap in these.
        before = JobEvent.objects.order_by("-id").values("pk")[NEWEST_LISTED : NEWEST_LISTED + 1]
        return super().get_queryset(request, exclude_parameters).filter(pk__gt=Coalesce(Subquery(before), 0))


#: The fields of an event's page.
FIELDS = ("job", "shown_attempt", "verb", "from_status", "to_status", "bot", "actor", "by", "reason", "at", "detail")


@admin.register(JobEvent)
class JobEventAdmin(admin.ModelAdmin):
    """Interventions, and attempts that did not succeed."""

    paginator = CappedPaginator
    show_full_result_count = False
    list_display = [
        "ago", "shown_job", "shown_attempt", "verb", "from_status", "to_status", "bot", "actor", "by", "shown_reason",
    ]  # fmt: skip
    list_filter = ["verb", "actor"]
    list_select_related = ["bot"]
    search_fields = ["=by"]
    fields = FIELDS
    readonly_fields = ["shown_attempt"]
    show_facets = ShowFacets.NEVER
    ordering = ["-id"]
    sortable_by = ()

    @admin.display(description="ago")
    def ago(self, event: JobEvent) -> str:
        return age(event.at)

    @admin.display(description="job")
    def shown_job(self, event: JobEvent) -> str:
        return format_html('<a href="{}">{}</a>', reverse("admin:jobs_job_change", args=[event.job_id]), event.job_id)

    @admin.display(description="attempt")
    def shown_attempt(self, event: JobEvent) -> int:
        return event.attempt_number

    @admin.display(description="reason")
    def shown_reason(self, event: JobEvent) -> str:
        return event.reason

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        title = {"title": "History", "subtitle": f"The newest {NEWEST_LISTED:,} events".replace(",", " ")}
        return super().changelist_view(request, title | (extra_context or {}))

    def get_urls(self) -> Any:
        view = self.admin_site.admin_view
        own_pages = [
            path("patterns/", view(self.patterns), name="jobs_jobevent_patterns"),
            path("patterns/<slug:table>.csv", view(self.patterns_csv), name="jobs_jobevent_patterns_csv"),
        ]
        return [*own_pages, *super().get_urls()]

    def patterns(self, request: HttpRequest) -> HttpResponse:
        """The page of release patterns."""
        return release_patterns.page(self, request)

    def patterns_csv(self, request: HttpRequest, table: str) -> Any:
        """One of its tables as CSV."""
        return release_patterns.export(self, request, table)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> JobEvent | None:
        event: JobEvent | None = super().get_object(request, object_id, from_field)
        return event and payloads.events_for(request.user, [event])[0]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return NewestEvents

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
