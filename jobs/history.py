"""The history of jobs: what happened to each, and who did it."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from bots.models import AuditEntry, Bot
from jobs.attempts import Numbered
from jobs.states import Actor, JobStatus, Verb
from jobs.transitions import ADDED_UP


class JobEvent(Numbered, models.Model):
    """One line of a job's history. Rows are only ever added, in the transition's own transaction."""

    job = models.ForeignKey("jobs.Job", on_delete=models.CASCADE, related_name="events", db_index=False)
    attempt = models.PositiveIntegerField()
    verb = models.CharField(max_length=20, choices=Verb)
    from_status = models.CharField("from", max_length=20, choices=JobStatus)
    to_status = models.CharField("to", max_length=20, choices=JobStatus)
    bot = models.ForeignKey(
        Bot, null=True, blank=True, on_delete=models.SET_NULL, related_name="events", db_index=False
    )
    actor = models.CharField(max_length=10, choices=Actor)
    # A name and not a key: history outlives the accounts of the people in it.
    by = models.CharField(max_length=200, blank=True, default="", db_default="")
    reason = models.TextField(blank=True, default="", db_default="")
    at = models.DateTimeField(db_default=Now())
    detail = models.JSONField(default=dict, blank=True)
    # The operator's act that made this event. Written before its entry, in the same transaction.
    audit = models.ForeignKey(
        AuditEntry, models.DO_NOTHING, null=True, editable=False, related_name="+", db_index=False, db_constraint=False
    )

    class Meta:
        ordering = ["-id"]
        verbose_name = "job event"
        constraints = [
            models.CheckConstraint(name="jobevent_verb_valid", condition=Q(verb__in=Verb.values)),
            models.CheckConstraint(name="jobevent_actor_valid", condition=Q(actor__in=Actor.values)),
            models.CheckConstraint(name="jobevent_from_valid", condition=Q(from_status__in=JobStatus.values)),
            models.CheckConstraint(name="jobevent_to_valid", condition=Q(to_status__in=JobStatus.values)),
            # A bot may repeat its report for ever; its late result is kept once.
            models.UniqueConstraint(name="jobevent_late_once", fields=["job", "attempt"], condition=Q(verb=Verb.LATE)),
        ]
        indexes = [
            models.Index(name="jobevent_by_job", fields=["job", "id"]),
            models.Index(name="jobevent_by_bot", fields=["bot", "at"]),
            models.Index(name="jobevent_by_operator", fields=["at"], condition=Q(actor=Actor.OPERATOR)),
            # Which leases ended other than well, and when: the release patterns, and what adds them up.
            models.Index(name="jobevent_ended_at", fields=["at"], condition=Q(verb__in=ADDED_UP)),
            models.Index(name="jobevent_expired", fields=["at"], condition=Q(verb=Verb.EXPIRE)),
        ]

    def __str__(self) -> str:
        return f"{self.verb} of job {self.job_id}, attempt {self.attempt_number}"
