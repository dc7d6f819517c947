"""Which database the site is in, and since when: one row."""

from django.db import models
from django.db.models import Q

from jobs.attempts import LAST_EPOCH


class Site(models.Model):
    """The database's identity when it was last compared (`jobsite.lib.site`), and what follows from a restore.

    A claim reads the epoch; everything else is read and written by `jobsite.lib.site`.
    """

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY, db_default=ONLY)
    # Begins again with each restore and promotion. Part of each attempt's number (`jobs.attempts`).
    epoch = models.PositiveIntegerField(default=0, db_default=0)
    # When this epoch began; empty for the first.
    began_at = models.DateTimeField(null=True, blank=True)
    # Of the server's control file, of its log, and of the database and our table in it. Empty: not known.
    cluster = models.BigIntegerField(null=True, blank=True)
    timeline = models.BigIntegerField(null=True, blank=True)
    database = models.CharField(max_length=50, blank=True, default="", db_default="")
    # No notification is sent while this is set.
    alerts_held_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        # Nobody edits it.
        default_permissions = ()
        constraints = [
            models.CheckConstraint(name="site_only_one", condition=Q(id=1)),
            models.CheckConstraint(name="site_epoch_range", condition=Q(epoch__lte=LAST_EPOCH)),
            models.CheckConstraint(name="site_epoch_began", condition=Q(epoch=0) | Q(began_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"epoch {self.epoch}"
