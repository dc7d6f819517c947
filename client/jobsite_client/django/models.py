"""Jobs that are to be enqueued if, and only if, the application's transaction is committed."""

import uuid
from typing import Any, ClassVar

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models.functions import Now

from ..messages import moments_as_text


class OutboxQuerySet(models.QuerySet["OutboxJob"]):
    """The rows that `manage.py relay_jobs` sends."""

    def enqueue(self, kind: str, payload: Any = None, **fields: Any) -> "OutboxJob":
        """Put a job into the outbox, in the transaction of the caller. `fields` are those of `Client.enqueue`.

        Raises ValueError for a moment without a time zone, or a key.
        """
        if "key" in fields or "unique" in fields:
            raise ValueError("The key of a job from the outbox is the row's id, and it is kept always.")
        return self.create(job={"kind": kind, "payload": payload} | moments_as_text(fields))

    def waiting(self) -> "OutboxQuerySet":
        """Those that the server has not refused, the oldest first."""
        return self.filter(refused="").order_by("created_at", "id")


class OutboxJob(models.Model):
    """One job. Its row is deleted when the server has it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    job = models.JSONField(encoder=DjangoJSONEncoder)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    refused = models.TextField(blank=True, default="")

    objects = OutboxQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            models.Index("created_at", "id", condition=models.Q(refused=""), name="jobsite_outbox_waiting")
        ]

    def __str__(self) -> str:
        return f"{self.job.get('kind')} {self.pk}"
