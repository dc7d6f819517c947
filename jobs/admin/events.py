"""The history in the admin. Nothing in it can be changed."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from jobs.admin.jobs import CappedPaginator
from jobs.models import JobEvent


@admin.register(JobEvent)
class JobEventAdmin(admin.ModelAdmin):
    """Every intervention, and every attempt that did not end well."""

    paginator = CappedPaginator
    show_full_result_count = False
    list_display = ["at", "job_id", "attempt", "verb", "from_status", "to_status", "bot", "actor", "by", "reason"]
    list_filter = ["verb", "actor"]
    list_select_related = ["bot"]
    search_fields = ["=by"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
