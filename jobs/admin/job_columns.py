"""The columns of the list of jobs in the admin."""

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import mark_safe

from jobs import fingerprints
from jobs.admin.actions import INTERVENTIONS
from jobs.lists.rows import LARGE, PAYLOAD_START
from jobs.models import Job
from jobsite.lib.badges import NONE, age, badge

#: The columns that one can choose: their names in the address, and the method and heading of each.
COLUMNS = {
    "kind": ("shown_kind", "kind"),
    "status": ("shown_status", "status"),
    "error": ("shown_error", "error"),
    "key": ("shown_key", "key"),
    "bot": ("holder", "bot"),
    "payload": ("shown_payload", "payload"),
    "group": ("shown_group", "group"),
    "schedule": ("shown_schedule", "schedule"),
    "since": ("held", "since"),
    "heartbeat": ("last_heartbeat", "last heartbeat"),
    "progress": ("done", "progress"),
    "attempt": ("tries", "attempt"),
    "priority": ("priority", "priority"),
}
#: Those that show what jobs carry.
OF_PAYLOADS = ("error", "payload")
#: What each view shows until one chooses; and views that are not named here.
OF_VIEW = {"failed": ("kind", "error", "key", "bot", "payload", "since", "attempt")}
USUAL = ("kind", "status", "bot", "since", "heartbeat", "progress", "attempt", "priority")


class JobColumns:
    """What the list shows of a job."""

    @admin.display(description="job")
    def shown_id(self, job: Job) -> str:
        return f"{job.pk}"

    @admin.display(description="kind")
    def shown_kind(self, job: Job) -> str:
        return job.kind_id

    @admin.display(description="status")
    def shown_status(self, job: Job) -> str:
        return badge(job.status)

    @admin.display(description="bot")
    def holder(self, job: Job) -> str:
        """Who holds it, or had it last."""
        name, pk = job.last_bot, job.last_bot_id  # type: ignore[attr-defined]
        for bot in (job.finished_by, job.claimed_by):
            name, pk = (bot.name, bot.pk) if bot else (name, pk)
        return format_html('<a href="{}">{}</a>', reverse("admin:bots_bot_change", args=[pk]), name) if name else NONE

    @admin.display(description="error")
    def shown_error(self, job: Job) -> str:
        """Its last line, with a link to all that are alike."""
        line = fingerprints.last_line(job.error_end)[: fingerprints.LINE_LENGTH]  # type: ignore[attr-defined]
        if not line:
            return NONE
        group = getattr(job, "error_group", None)
        if group is None:
            return format_html('<span class="error-line">{}</span>', line)
        url = reverse("admin:jobs_errorgroup_change", args=[group])
        return format_html('<a class="error-line" href="{}">{}</a>', url, line)

    @admin.display(description="key")
    def shown_key(self, job: Job) -> str:
        return job.key or NONE

    @admin.display(description="payload")
    def shown_payload(self, job: Job) -> str:
        """Its first words."""
        start: str = job.payload_start  # type: ignore[attr-defined]
        if start == LARGE:
            return format_html('<span class="quiet">{}</span>', LARGE)
        return format_html('<code class="start">{}{}</code>', start, "…" if len(start) >= PAYLOAD_START else "")

    @admin.display(description="group")
    def shown_group(self, job: Job) -> str:
        return job.group_name or NONE

    @admin.display(description="schedule")
    def shown_schedule(self, job: Job) -> str:
        return job.schedule or NONE

    @admin.display(description="since")
    def held(self, job: Job) -> str:
        moment = job.claimed_at if job.claimed_by_id else job.finished_at or job.due_since
        return format_html(
            "{} {}", "held" if job.claimed_by_id else "finished" if job.finished_at else "due", age(moment)
        )

    @admin.display(description="last heartbeat")
    def last_heartbeat(self, job: Job) -> str:
        return age(job.heartbeat_at if job.claimed_by_id else None)

    @admin.display(description="attempt")
    def tries(self, job: Job) -> str:
        released = f", {job.uncounted} not counted" if job.uncounted else ""
        return f"{job.attempt_number} of {job.max_attempts + job.uncounted}{released}"

    @admin.display(description="progress")
    def done(self, job: Job) -> str:
        if job.progress is None:
            return NONE
        return format_html('<progress max="100" value="{0}" aria-label="Progress"></progress> {0} %', job.progress)

    @admin.display(description="release")
    def release_link(self, job: Job) -> str:
        return self._link("release", job) if job.status in INTERVENTIONS["release"].statuses else NONE

    @admin.display(description="retry")
    def retry_link(self, job: Job) -> str:
        return self._link("retry", job) if job.status in INTERVENTIONS["retry"].statuses else NONE

    def _link(self, name: str, job: Job) -> str:
        mark = mark_safe(" data-release") if name == "release" else ""
        return format_html(
            '<a class="button calm" href="{}"{}>{}<span class="visually-hidden"> job {}</span></a>',
            reverse(f"admin:jobs_job_{name}", args=[job.pk]), mark, INTERVENTIONS[name].label, job.pk,
        )  # fmt: skip
