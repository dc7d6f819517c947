"""Searches of the list of jobs that somebody saved under a name, for everybody."""

from django.db import models
from django.db.models.functions import Now

from bots.models import NAME_LENGTH

#: The longest query string that is kept: a search, with what it is searched in.
ADDRESS_LENGTH = 2000


class SavedSearch(models.Model):
    """A search: the query string of the list of jobs."""

    name = models.CharField(max_length=NAME_LENGTH, unique=True)
    address = models.CharField(max_length=ADDRESS_LENGTH, blank=True)
    by = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "saved searches"

    def __str__(self) -> str:
        return self.name
