"""The form to add a job by hand."""

import json
from datetime import datetime
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.forms.fields import InvalidJSONInput
from django.http import HttpRequest, HttpResponse

from jobs import payloads
from jobs.enqueue.refusals import recorded
from jobs.errors import TooManyPending
from jobs.lists import index_merge
from jobs.models import Job
from jobs.states import Unique
from jobsite.lib.clock import check_usable
from jobsite.lib.errors import JobsiteError
from jobsite.lib.params import number_in
from jobsite.lib.strict_json import check_json, loads


class PayloadField(forms.JSONField):
    """A payload by the rules for producers: no number that would be rounded, within the limits."""

    def to_python(self, value: Any) -> Any:
        if not isinstance(value, str) or not value.strip():
            return super().to_python(value)
        try:
            payload = loads(value.encode("utf-8", "surrogatepass"))
            check_json(payload, "payload", settings.MAX_PAYLOAD_BYTES)
        except JobsiteError as error:
            raise forms.ValidationError(error.detail) from None
        return payload

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Show again what was typed. Read and written, a number might be another."""
        return initial if self.disabled or data is None else InvalidJSONInput(data)


class NewJobForm(forms.ModelForm):
    """Add a job. Empty fields get the kind's defaults, as for producers."""

    #: Why the job was refused that this form was to add.
    refusal = ""

    class Meta:
        model = Job
        field_classes = {"payload": PayloadField}
        fields = ["kind", "payload", "priority", "run_at", "group_name", "key", "unique_mode", "max_attempts"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("run_at", "max_attempts", "key", "unique_mode"):
            if name in self.fields:
                self.fields[name].required = False
        for name in ("run_at", "max_attempts", "key"):
            if name in self.fields:
                self.fields[name].initial = None

    def clean(self) -> dict[str, Any] | None:
        """Show the refusal."""
        if self.refusal:
            raise forms.ValidationError(self.refusal)
        return super().clean()

    def clean_max_attempts(self) -> int:
        """Default to the kind's value."""
        given, kind = self.cleaned_data.get("max_attempts"), self.cleaned_data.get("kind")
        return given or (kind.max_attempts if kind else 1)

    def clean_run_at(self) -> datetime | None:
        """Refuse a moment that not every time zone has."""
        at: datetime | None = self.cleaned_data.get("run_at")
        check_usable(at)
        return at

    def clean_unique_mode(self) -> str:
        """Default to `always`."""
        return self.cleaned_data.get("unique_mode") or Unique.ALWAYS.value

    def clean_key(self) -> str | None:
        """Store an empty key as None."""
        return self.cleaned_data.get("key") or None


class AddsJobs(admin.ModelAdmin):
    """Show the same form again when its job is refused, with the reason beside what was filled in."""

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            with recorded(request.user.get_username()):
                return super().add_view(request, form_url, extra_context)
        except TooManyPending as error:
            request.refusal = error.detail  # type: ignore[attr-defined]
            return super().add_view(request, form_url, extra_context)

    def get_form(self, request: HttpRequest, obj: Job | None = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.refusal = getattr(request, "refusal", "")
        return form


class IndentedJSON(json.JSONEncoder):
    """Write JSON for people."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **(kwargs | {"indent": 2, "ensure_ascii": False}))


def first_values(request: HttpRequest) -> dict[str, Any]:
    """The values that a new job's form begins with: of the job in `copy`, or of the last one of the kind in `kind`."""
    if not payloads.may_see(request.user):
        return {"kind": ""}
    kind, copied = request.GET.get("kind", "").replace("\0", ""), number_in(request.GET.get("copy", ""))
    if copied is not None:
        one = Job.objects.filter(pk=copied).first()
        fields = ("payload", "priority", "group_name", "max_attempts")
        return {} if one is None else {"kind": one.kind_id} | {name: getattr(one, name) for name in fields}
    last = Job.objects.filter(pk__in=index_merge.ids(index_merge.select(kinds=[kind]), 1)).first() if kind else None
    return {"kind": kind} | ({"payload": last.payload, "priority": last.priority} if last else {})
