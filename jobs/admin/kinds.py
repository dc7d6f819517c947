"""Kinds in the admin: the policy for all jobs of a kind, and pausing it."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from bots.admin import GuardedActions, many
from jobs.models import JobKind


@admin.register(JobKind)
class JobKindAdmin(GuardedActions):
    """A kind comes into being at its first job; here its policy is set."""

    list_display = ["name", "paused", "max_attempts", "start_within", "heartbeat_within", "run_within", "when_silent"]
    list_filter = ["paused"]
    search_fields = ["name"]
    actions = ["pause", "resume"]
    fieldsets = [
        (None, {"fields": ["name", "paused"]}),
        ("Attempts", {"fields": ["max_attempts", "backoff"]}),
        (
            "When a job counts as stuck",
            {
                "description": "Past a limit the bot is potentially stuck. Past three times the limit it is unhealthy, "
                "and the policy acts. A job that was claimed and not started goes back at its first limit.",
                "fields": ["start_within", "heartbeat_within", "when_silent", "run_within", "when_overdue"],
            },
        ),
        ("Keeping", {"fields": ["keep_for"]}),
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: JobKind | None = None) -> list[str]:
        # The name is the key that jobs carry; pausing is its own right, with its own action.
        return ["paused"] if obj is None else ["name", "paused"]

    def has_delete_permission(self, request: HttpRequest, obj: JobKind | None = None) -> bool:
        return False

    def has_pause_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.pause_jobkind")

    @admin.action(description="Pause: hand out no jobs of these kinds", permissions=["pause"])
    def pause(self, request: HttpRequest, kinds: QuerySet[JobKind]) -> None:
        self._set(request, kinds, True, "Paused")

    @admin.action(description="Resume: hand them out again", permissions=["pause"])
    def resume(self, request: HttpRequest, kinds: QuerySet[JobKind]) -> None:
        self._set(request, kinds, False, "Resumed")

    def _set(self, request: HttpRequest, kinds: QuerySet[JobKind], paused: bool, done: str) -> None:
        changing = list(kinds.filter(paused=not paused))
        kinds.filter(pk__in=[kind.pk for kind in changing]).update(paused=paused)
        for kind in changing:
            self.log_change(request, kind, f"{done}.")
        self.message_user(request, f"{done} {many(len(changing), 'kind')}.")
