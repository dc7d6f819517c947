"""The columns of the list of jobs in the admin."""

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import mark_safe

from jobs.admin.actions import INTERVENTIONS
from jobs.models import Job
from jobsite.lib.badges import NONE, age, badge


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

    @admin.display(description="held by")
    def holder(self, job: Job) -> str:
        if job.claimed_by is None:
            return NONE
        return format_html(
            '<a href="{}">{}</a>', reverse("admin:bots_bot_change", args=[job.claimed_by_id]), job.claimed_by
        )

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
