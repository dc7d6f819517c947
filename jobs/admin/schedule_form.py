"""The form of a schedule. Its rules are those of `jobs.schedules.definition`, as for programs."""

from datetime import timedelta
from typing import Any

from django import forms
from django.conf import settings
from pydantic import ValidationError

from jobs.admin.new_job_form import PayloadField
from jobs.models import Schedule
from jobs.schedules.definition import FIELDS, TIMING, ScheduleIn, TimingIn
from jobs.schedules.models import NAME_RULE

SECOND = timedelta(seconds=1)


class MomentField(forms.DateTimeField):
    """A moment in one field, which has a label, in the installation's time zone."""

    def __init__(self, **options: Any) -> None:
        widget = forms.DateTimeInput(attrs={"type": "datetime-local", "step": 1}, format="%Y-%m-%dT%H:%M:%S")
        super().__init__(required=False, widget=widget, **options)


class ScheduleForm(forms.ModelForm):
    """Add or change a schedule."""

    starts_at = MomentField(label="Starts", help_text="In the installation's time zone.")
    ends_at = MomentField(label="Ends", help_text="In the installation's time zone.")

    class Meta:
        model = Schedule
        field_classes = {"payload": PayloadField}
        fields = ["name", *FIELDS]
        widgets = {"time_zone": forms.TextInput(attrs={"list": "zones"})}
        help_texts = {"name": f"It cannot be changed later. {NAME_RULE}"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is None and "time_zone" in self.fields:
            self.fields["time_zone"].initial = settings.TIME_ZONE

    def clean(self) -> dict[str, Any] | None:
        """Check the fields by the rules for programs."""
        data = super().clean() or {}
        if not self.errors:
            given = {name: data.get(name, getattr(self.instance, name)) for name in FIELDS}
            self._check(ScheduleIn, given | {"key": given["key"] or None, "group": given["group"] or None})
        return data

    def timing(self) -> TimingIn | None:
        """When the schedule would fire. None, with the form's errors, where its fields do not tell."""
        self.full_clean()
        data = {name: self.cleaned_data[name] for name in TIMING if name in self.cleaned_data}
        for name in set(self.errors) - set(TIMING):
            del self.errors[name]
        return None if self.errors else self._check(TimingIn, data)

    def _check(self, rules: type[TimingIn], given: dict[str, Any]) -> TimingIn | None:
        durations = {name: given[name] for name in ("every", "catch_up_within") if given.get(name) is not None}
        seconds = {name: value // SECOND if not value % SECOND else None for name, value in durations.items()}
        for name in [name for name, value in seconds.items() if value is None]:
            self.add_error(name, "Use whole seconds.")
        if self.errors:
            return None
        try:
            return rules.model_validate(given | seconds)
        except ValidationError as error:
            for fault in error.errors(include_input=False, include_url=False):
                name = str(fault["loc"][0]) if fault["loc"] else ""
                self.add_error(name if name in self.fields else None, fault["msg"])
        return None
