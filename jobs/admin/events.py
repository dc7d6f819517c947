"""The history in the admin: one log of what happened to jobs and of what people did. Read only."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.functional import cached_property

from bots import audit
from bots.acts import about
from bots.models import AuditEntry
from jobs import payloads, transitions
from jobs.admin import release_patterns
from jobs.admin.audit_pages import page_of
from jobs.lists import history
from jobs.lists.history import HistoryFilter
from jobs.models import JobEvent
from jobs.states import Actor
from jobsite.lib import replica
from jobsite.lib.permissions import label


class CappedPaginator(Paginator):
    """Count up to a limit, so that a list of ten million rows does not scan them."""

    LIMIT = 10_000

    @cached_property
    def count(self) -> int:
        return int(self.object_list[: self.LIMIT].count())  # type: ignore[attr-defined]


#: The fields of an event's page.
FIELDS = ("job", "shown_attempt", "verb", "from_status", "to_status", "bot", "actor", "by", "reason", "at", "detail")


@admin.register(JobEvent)
class JobEventAdmin(admin.ModelAdmin):
    """Interventions, attempts that did not succeed, and what people did."""

    fields = FIELDS
    readonly_fields = ["shown_attempt"]

    @admin.display(description="attempt")
    def shown_attempt(self, event: JobEvent) -> int:
        return event.attempt_number

    @replica.for_figures
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The log, with a form that asks it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        asked = HistoryFilter.from_params(request.GET)
        sees_acts = request.user.has_perm("bots.view_auditentry")
        found = history.log(asked, sees_acts=sees_acts)
        older = found.older
        at = {} if older is None else {"before_event": older.before_event, "before_entry": older.before_entry}
        context = (
            self.admin_site.each_context(request)
            | (extra_context or {})
            | {
                "title": "History",
                "opts": self.opts,
                "asked": asked,
                "given": {"since": request.GET.get("from", ""), "until": request.GET.get("to", "")},
                "lines": [_line(request, line, found.jobs_of_acts) for line in found.lines],
                "searched": found.searched,
                "older": f"?{urlencode(asked.params() | at)}" if older else "",
                "newest": f"?{urlencode(asked.params())}" if asked.before_event or asked.before_entry else "",
                "is_first": (is_first := "before_event" not in request.GET),
                # Further back nothing is new, and one that reads many lines is not asked every few seconds.
                "refreshes": is_first and asked.most == history.SEARCHED,
                "verbs": sorted(history.VERBS.items()),
                "actors": Actor.choices,
                "sees_acts": sees_acts,
                "audit_permission": label("bots.view_auditentry"),
            }
        )
        name = "refreshed" if context["refreshes"] and request.htmx else "history"  # type: ignore[attr-defined]
        return TemplateResponse(request, f"admin/jobs/jobevent/{name}.html", context)

    def get_urls(self) -> Any:
        view = self.admin_site.admin_view
        own_pages = [
            path("patterns/", view(self.patterns), name="jobs_jobevent_patterns"),
            path("patterns/<slug:table>.csv", view(self.patterns_csv), name="jobs_jobevent_patterns_csv"),
        ]
        return [*own_pages, *super().get_urls()]

    @replica.for_figures
    def patterns(self, request: HttpRequest) -> HttpResponse:
        """The page of release patterns."""
        return release_patterns.page(self, request)

    @replica.for_figures
    def patterns_csv(self, request: HttpRequest, table: str) -> Any:
        """One of its tables as CSV."""
        return release_patterns.export(self, request, table)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> JobEvent | None:
        event: JobEvent | None = super().get_object(request, object_id, from_field)
        return event and payloads.events_for(request.user, [event])[0]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def _line(request: HttpRequest, line: JobEvent | AuditEntry, jobs_of_acts: dict[int, int]) -> dict[str, Any]:
    """A line as the page has it: when, who, what, about what, why, and what opens."""
    if isinstance(line, AuditEntry):
        before = f"{audit.words(line.before)} → " if line.before else ""
        name = f"{jobs_of_acts[line.pk]} jobs" if line.pk in jobs_of_acts and not line.object_id else line.object_name
        return {
            "at": line.at, "who": line.by or "a command", "verb": line.get_verb_display(), "look": _family(line.verb),
            "about": about(line.object_type, line.object_id, name), "url": page_of(line),
            "reason": line.reason, "change": f"{before}{audit.words(line.after)}", "entry": line.pk,
            "key": f"act-{line.pk}",
        }  # fmt: skip
    (event,) = payloads.events_for(request.user, [line])
    who = {Actor.OPERATOR: event.by or "a command", Actor.SWEEP: "the sweep"}.get(Actor(event.actor), str(event.bot))
    change = "" if event.from_status == event.to_status else f"{event.from_status} → {event.to_status}"
    under = f" under {event.bot}" if event.bot and event.actor != Actor.BOT else ""
    return {
        "at": event.at, "who": who, "verb": event.get_verb_display(), "look": _family(event.verb),
        "about": f"{line.kind} {event.job_id}{under}", "job": event.job_id,  # type: ignore[attr-defined]
        "reason": event.reason, "change": f"attempt {event.attempt_number} {change}".strip(), "event": event.pk,
        "key": f"event-{event.pk}",
    }  # fmt: skip


def _family(verb: str) -> str:
    """The family of colour and icon of a verb."""
    rows = transitions.rows(verb)
    return rows[0].look if rows else "wait"
