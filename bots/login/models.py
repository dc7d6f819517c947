"""Store who logged in from where, second factors, and identities at the provider of single sign-on."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Way(models.TextChoices):
    """What somebody logged in with."""

    PASSWORD = "password", "password"
    CODE = "code", "code of an app"
    RECOVERY = "recovery_code", "recovery code"
    SSO = "sso", "single sign-on"
    PROXY = "proxy", "proxy"


class Outcome(models.TextChoices):
    """How it ended. An attempt under way counts as failed, so that many at a time are as few as one after another."""

    GOOD = "good", "good"
    FAILED = "failed", "failed"
    #: The password was right, and a code is needed.
    CODE_NEEDED = "code_needed", "code needed"
    #: Too many had failed, so nothing was compared.
    REFUSED = "refused", "refused"


class Login(models.Model):
    """One attempt to log in. It keeps the name as it was typed: a person who is deleted or renamed stays in it."""

    at = models.DateTimeField(db_default=Now(), editable=False)
    username = models.CharField(max_length=150)
    address = models.CharField(max_length=45, blank=True)
    #: What attempts are counted by: the address, and of IPv6 the network that one customer has.
    source = models.CharField(max_length=49, blank=True)
    way = models.CharField(max_length=20, choices=Way)
    outcome = models.CharField(max_length=20, choices=Outcome)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(name="login_way_valid", condition=Q(way__in=Way.values)),
            models.CheckConstraint(name="login_outcome_valid", condition=Q(outcome__in=Outcome.values)),
        ]
        indexes = [
            models.Index(name="login_username", fields=["username", "at"]),
            models.Index(name="login_source", fields=["source", "at"]),
            models.Index(name="login_at", fields=["at"]),
        ]

    def __str__(self) -> str:
        return f"{self.username}: {self.outcome}"


class SecondFactor(models.Model):
    """A person's app for one-time codes (TOTP), and the recovery codes that are left."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="second_factor")
    secret = models.CharField(max_length=64, editable=False)
    # The time step of the last code: no code is taken twice.
    last_step = models.BigIntegerField(default=0, db_default=0, editable=False)
    recovery_digests = ArrayField(models.CharField(max_length=64), default=list, editable=False)
    since = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name = "second factor"

    def __str__(self) -> str:
        return f"second factor of {self.user}"


class Identity(models.Model):
    """Who a person is at the provider of single sign-on. A name there may be changed, and given to another."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="identity")
    issuer = models.CharField(max_length=500)
    subject = models.CharField(max_length=255)
    since = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name_plural = "identities"
        constraints = [models.UniqueConstraint(name="identity_unique", fields=["issuer", "subject"])]

    def __str__(self) -> str:
        return f"{self.subject} at {self.issuer}"
