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
from jobsite.lib.zones import names

SECOND = timedelta(seconds=1)


class ScheduleForm(forms.ModelForm):
    """Add or change a schedule."""

    time_zone = forms.ChoiceField(choices=[(name, name) for name in sorted(names())], initial=settings.TIME_ZONE)

    class Meta:
        model = Schedule
        field_classes = {"payload": PayloadField}
        fields = ["name", *FIELDS]
        help_texts = {"name": f"It cannot be changed later. {NAME_RULE}"}

    def clean(self) -> dict[str, Any] | None:
        """Check the fields by the rules for programs."""
        data = super().clean() or {}
        if not self.errors:
            given = {name: data.get(name, getattr(self.instance, name)) for name in FIELDS}
            self._check(ScheduleIn, given | {"key": given["key"] or None})
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
