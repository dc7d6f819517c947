"""Schedules in the admin: what they mean, what comes, what became of each moment, and who changed them."""

from calendar import monthrange
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import ShowFacets
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from bots import audit
from bots.audited_admin import AuditedAdmin
from jobs import payloads
from jobs.admin.new_job_form import IndentedJSON
from jobs.admin.schedule_form import ScheduleForm
from jobs.bounds import REASON_LENGTH
from jobs.errors import NothingToSkip, TooManyPending
from jobs.models import Schedule, ScheduleOccurrence
from jobs.schedules import changes, ledger
from jobs.schedules.definition import FIELDS, PREVIEWED, preview
from jobs.states import Fate
from jobsite.lib.admin import count_of
from jobsite.lib.badges import FAMILIES, NONE, badge, exact, local
from jobsite.lib.charts import strip
from jobsite.lib.clock import is_usable
from jobsite.lib.errors import Invalid
from jobsite.lib.zones import names

#: Fates in the strip of the list and of a schedule's page.
STRIP, LONG_STRIP = 20, 60
#: Rows of a month's ledger.
MONTH_ROWS = 1000


class ScheduleList(ChangeList):
    """Schedules with their last fates, in two queries for all rows."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        recent = ledger.recent(self.result_list, STRIP)
        for schedule in self.result_list:
            schedule.recent = recent.get(schedule.pk, [])


@admin.register(Schedule)
class ScheduleAdmin(AuditedAdmin):
    """Schedules. Each change is made by a verb of `jobs.schedules.changes`, which records it."""

    form = ScheduleForm
    adds_by_verb = True
    list_in_transaction = True
    list_display = ["name", "kind", "rule", "next_moment", "last_fate", "fates", "shown_paused"]
    list_per_page = 50
    list_filter = ["paused"]
    search_fields = ["name", "kind"]
    show_facets = ShowFacets.NEVER
    show_full_result_count = False
    actions = ["run_now", "skip_next", "pause", "resume"]

    @admin.display(description="fires")
    def rule(self, schedule: Schedule) -> str:
        return schedule.timing.short()

    @admin.display(description="next", ordering="next_at")
    def next_moment(self, schedule: Schedule) -> str:
        return NONE if schedule.next_at is None else local(schedule.next_at)

    @admin.display(description="last")
    def last_fate(self, schedule: Schedule) -> str:
        recent: list[ScheduleOccurrence] = getattr(schedule, "recent", [])
        return badge(recent[0].fate) if recent else NONE

    @admin.display(description="last fates")
    def fates(self, schedule: Schedule) -> str:
        recent: list[ScheduleOccurrence] = getattr(schedule, "recent", [])
        return fate_strip(recent) if recent else NONE

    @admin.display(description="paused", ordering="paused")
    def shown_paused(self, schedule: Schedule) -> str:
        return badge("paused") if schedule.paused else NONE

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type["ScheduleList"]:
        return ScheduleList

    def get_urls(self) -> Any:
        own = [
            path("preview/", self.admin_site.admin_view(self.preview), name="jobs_schedule_preview"),
            path("<path:object_id>/ledger/", self.admin_site.admin_view(self.ledger), name="jobs_schedule_ledger"),
        ]
        return [*own, *super().get_urls()]

    # --- The form -------------------------------------------------------------------------------------------------

    def get_fieldsets(self, request: HttpRequest, obj: Schedule | None = None) -> Any:
        job = ["kind", "payload", "priority", "group", "key"]
        if not payloads.may_see(request.user) and obj is not None:
            job.remove("payload")
        return [
            (None, {"fields": ["name"]}),
            ("When", {"fields": ["cron", "time_zone", "every", "starts_at", "ends_at"]}),
            ("The job", {"fields": job}),
            ("Overlap and delay", {"fields": ["overlap", "catch_up", "catch_up_within"]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Schedule | None = None) -> list[str]:
        return [] if obj is None else ["name"]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "payload":
            kwargs["encoder"] = IndentedJSON
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Schedule, form: forms.ModelForm, change: bool) -> None:
        # Only what was changed: the form has moments to the second.
        there = Schedule.objects.get(pk=obj.pk) if change else obj
        values = {name: getattr(obj if name in form.changed_data else there, name) for name in FIELDS}
        done = changes.put(obj.name, values, by=audit.caller(request)).schedule
        obj.pk, obj.next_at, obj.created_at = done.pk, done.next_at, done.created_at

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:  # type: ignore[override]
        """Nothing: the verb has recorded it."""

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().add_view(request, form_url, {"zones": sorted(names())} | (extra_context or {}))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        schedule = self.get_object(request, object_id)
        extra = {"zones": sorted(names())} | (extra_context or {})
        if schedule is not None:
            recent = ledger.recent([schedule], LONG_STRIP)[schedule.pk]
            extra |= {
                "title": schedule.name,
                "rule": schedule.timing.words(),
                "next": list(islice(_to_come(schedule), PREVIEWED)),
                "strip": fate_strip(recent) if recent else "",
                "recent": recent[:8],
                "may_run": self.has_run_permission(request),
                "may_pause": self.has_pause_permission(request),
            }
        return super().change_view(request, object_id, form_url, extra)

    def preview(self, request: HttpRequest) -> HttpResponse:
        """What the form's rule means, and its next moments: a part of the page for htmx, else a page."""
        if not (self.has_add_permission(request) or self.has_change_permission(request)):
            raise PermissionDenied
        form: Any = self.get_form(request)(request.POST)
        given = form.timing()
        context = (
            {"errors": [text for texts in form.errors.values() for text in texts]} if given is None else preview(given)
        )
        if getattr(request, "htmx", False):
            return TemplateResponse(request, "admin/jobs/schedule/preview.html", context)
        context |= self.admin_site.each_context(request) | {"title": "What the schedule means", "opts": self.opts}
        return TemplateResponse(request, "admin/jobs/schedule/preview_page.html", context)

    def ledger(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """What became of the moments of one month, in the installation's time zone."""
        schedule = self.get_object(request, object_id)
        if schedule is None:
            raise Http404("There is no such schedule.")
        if not self.has_view_permission(request, schedule):
            raise PermissionDenied
        first = _month(request.GET.get("month", ""))
        days = monthrange(first.year, first.month)[1]
        last = first.replace(day=days, hour=23, minute=59, second=59, microsecond=999_999)
        rows = schedule.occurrences.filter(until_at__gte=first, due_at__lte=last).order_by("-due_at")[: MONTH_ROWS + 1]
        shown = list(rows)
        context = self.admin_site.each_context(request) | {
            "title": f"Ledger of {schedule}",
            "opts": self.opts,
            "schedule": schedule,
            "month": first,
            "before": (first - timedelta(days=1)).strftime("%Y-%m"),
            "after": (last + timedelta(days=1)).strftime("%Y-%m"),
            "rows": shown[:MONTH_ROWS],
            "more": len(shown) > MONTH_ROWS,
            "counts": [(fate, sum(row.count for row in shown if row.fate == fate)) for fate in Fate.values],
        }
        return TemplateResponse(request, "admin/jobs/schedule/ledger.html", context)

    # --- Actions --------------------------------------------------------------------------------------------------

    def has_run_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.run_schedule")

    def has_pause_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.pause_schedule")

    @admin.action(description="Run now: make a job of each", permissions=["run"])
    def run_now(self, request: HttpRequest, schedules: QuerySet[Schedule]) -> None:
        for name in _names(schedules):
            try:
                row = changes.run_now(name, reason=_reason(request), by=audit.caller(request))
            except TooManyPending as error:
                self.message_user(request, f"{name}: {error.detail}", "ERROR")
                continue
            self.message_user(request, f"{name}: {ledger.run_in_words(row)}")

    @admin.action(description="Skip the next moment of each", permissions=["pause"])
    def skip_next(self, request: HttpRequest, schedules: QuerySet[Schedule]) -> None:
        for name in _names(schedules):
            try:
                row = changes.skip(name, reason=_reason(request), by=audit.caller(request))
                self.message_user(request, f"{name}: its moment at {exact(row.due_at)} makes no job.")
            except NothingToSkip as error:
                self.message_user(request, error.detail, "WARNING")

    @admin.action(description="Pause: make no jobs", permissions=["pause"])
    def pause(self, request: HttpRequest, schedules: QuerySet[Schedule]) -> None:
        names = _names(schedules)
        try:
            for name in names:
                changes.pause(name, until=_until(request), reason=_reason(request), by=audit.caller(request))
        except Invalid as error:
            self.message_user(request, f"Nothing was paused. {error.detail}", "ERROR")
            return
        self.message_user(request, f"Paused {count_of(len(names), 'schedule')}.")

    @admin.action(description="Resume: make jobs again", permissions=["pause"])
    def resume(self, request: HttpRequest, schedules: QuerySet[Schedule]) -> None:
        names = _names(schedules)
        for name in names:
            changes.resume(name, reason=_reason(request), by=audit.caller(request))
        self.message_user(request, f"Resumed {count_of(len(names), 'schedule')}.")


def fate_strip(recent: list[ScheduleOccurrence]) -> str:
    """The last fates as a strip of marks, the newest at the right."""
    marks = [(FAMILIES[row.fate], f"{exact(row.due_at)}: {row.fate.replace('_', ' ')}") for row in reversed(recent)]
    missed = sum(row.fate == Fate.MISSED for row in recent)
    return strip(marks, f"The last {len(recent)} fates, {missed} of them missed. Each is in the ledger.")


def _to_come(schedule: Schedule) -> Any:
    if schedule.next_at is not None:
        yield schedule.next_at
        yield from schedule.timing.after(schedule.next_at)


def _names(schedules: QuerySet[Schedule]) -> list[str]:
    return list(schedules.order_by("name").values_list("name", flat=True))


def _reason(request: HttpRequest) -> str:
    return request.POST.get("reason", "").replace("\0", "")[:REASON_LENGTH]


def _until(request: HttpRequest) -> datetime | None:
    """The moment in the field `until`, in the installation's time zone. Invalid where it is none."""
    text = request.POST.get("until", "")
    if not text:
        return None
    try:
        at = parse_datetime(text)
    except ValueError:
        at = None
    if at is None or not is_usable(at):
        raise Invalid.about("until", "a day and a time.")
    return timezone.make_aware(at) if timezone.is_naive(at) else at


def _month(text: str) -> datetime:
    """The first moment of the month `2026-11`; of the present one where there is none."""
    try:
        year, month = (int(part) for part in text.split("-"))
        day = datetime(year, month, 1) if 1970 < year < 9000 else timezone.localtime().replace(day=1, tzinfo=None)
    except ValueError:
        day = timezone.localtime().replace(day=1, tzinfo=None)
    return timezone.make_aware(day.replace(hour=0, minute=0, second=0, microsecond=0))
