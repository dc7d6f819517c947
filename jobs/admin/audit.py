"""The audit log in the admin: what people did, with filters. Nothing here can be changed."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin import ShowFacets
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html

from bots import audit
from bots.acts import about
from bots.models import AuditEntry
from jobs.admin.audit_pages import page_of
from jobs.admin.events import CappedPaginator
from jobsite.lib import replica
from jobsite.lib.admin import GuardedActions
from jobsite.lib.badges import age, exact

#: The filter by time: its words, and how far back it reaches.
SPANS = {
    "hour": ("Last hour", timedelta(hours=1)),
    "day": ("Last day", timedelta(days=1)),
    "week": ("Last 7 days", timedelta(days=7)),
    "month": ("Last 30 days", timedelta(days=30)),
}
#: People and objects offered as filters are those of this many newest entries. Others can be searched.
RECENT = 2000
FIELDS = ("moment", "who", "key", "via", "act", "about", "shown_before", "shown_after", "reason", "request_id")


class TimeFilter(admin.SimpleListFilter):
    """Filter by how long ago."""

    title = "time"
    parameter_name = "span"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [(name, words) for name, (words, _) in SPANS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        words_and_span = SPANS.get(self.value() or "")
        return queryset.filter(at__gte=Now() - words_and_span[1]) if words_and_span else queryset


class RecentValues(admin.SimpleListFilter):
    """Filter by a column, offering the values of the newest entries."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        newest = AuditEntry.objects.order_by("-id").values_list(str(self.parameter_name), flat=True)[:RECENT]
        return [(value, value) for value in sorted({value for value in newest if value})]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        value = (self.value() or "").replace("\0", "")
        return queryset.filter(**{str(self.parameter_name): value}) if value else queryset


class PersonFilter(RecentValues):
    title, parameter_name = "person", "by"


class ObjectFilter(RecentValues):
    title, parameter_name = "object", "object_type"


class ObjectIdFilter(admin.SimpleListFilter):
    """One object, which links on other pages name. Not offered beside the list."""

    title, parameter_name = "number", "object_id"

    def has_output(self) -> bool:
        return False

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [("", "")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        value = (self.value() or "").replace("\0", "")[:100]
        return queryset.filter(object_id=value) if value else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(GuardedActions):
    """The audit log. Read only."""

    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_display = ["ago", "who", "act", "about", "changed", "reason"]
    list_display_links = ["act"]
    list_filter = [PersonFilter, "verb", ObjectFilter, "via", TimeFilter, ObjectIdFilter]
    search_fields = ["=by", "=key", "=object_name", "=object_id", "=request_id"]
    ordering = ["-id"]
    sortable_by = ()
    fields = FIELDS
    readonly_fields = FIELDS

    @admin.display(description="ago")
    def ago(self, entry: AuditEntry) -> str:
        return age(entry.at)

    @admin.display(description="at")
    def moment(self, entry: AuditEntry) -> str:
        return exact(entry.at)

    @admin.display(description="who")
    def who(self, entry: AuditEntry) -> str:
        name = entry.by or "a command"
        return format_html("{} <code>{}…</code>", name, entry.key) if entry.key else name

    @admin.display(description="act")
    def act(self, entry: AuditEntry) -> str:
        return entry.verb.replace("_", " ")

    @admin.display(description="object")
    def about(self, entry: AuditEntry) -> str:
        words, url = about(entry.object_type, entry.object_id, entry.object_name), page_of(entry)
        return format_html('<a href="{}">{}</a>', url, words) if url else words

    @admin.display(description="change")
    def changed(self, entry: AuditEntry) -> str:
        before, after = audit.words(entry.before), audit.words(entry.after)
        return f"{before} → {after}"[:300] if entry.before else after[:300]

    @admin.display(description="before")
    def shown_before(self, entry: AuditEntry) -> str:
        return audit.words(entry.before)

    @admin.display(description="after")
    def shown_after(self, entry: AuditEntry) -> str:
        return audit.words(entry.after)

    @replica.for_figures
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"title": "Audit log"} | (extra_context or {}))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        entry = self.get_object(request, object_id)
        title = {"title": str(entry)[:1].upper() + str(entry)[1:]} if entry is not None else {}
        return super().change_view(request, object_id, form_url, title | (extra_context or {}))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: AuditEntry | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: AuditEntry | None = None) -> bool:
        return False
