"""The form to add a job by hand."""

import json
from typing import Any

from django import forms

from jobs.models import Job


class NewJobForm(forms.ModelForm):
    """Add a job. Empty fields get the kind's defaults, as for producers."""

    class Meta:
        model = Job
        fields = ["kind", "payload", "priority", "run_at", "key", "max_attempts"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("run_at", "max_attempts", "key"):
            if name in self.fields:
                self.fields[name].required = False
                self.fields[name].initial = None

    def clean_max_attempts(self) -> int:
        """Default to the kind's value."""
        given, kind = self.cleaned_data.get("max_attempts"), self.cleaned_data.get("kind")
        return given or (kind.max_attempts if kind else 1)

    def clean_key(self) -> str | None:
        """Store an empty key as None."""
        return self.cleaned_data.get("key") or None


class IndentedJSON(json.JSONEncoder):
    """IndentedJSON JSON for people."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **(kwargs | {"indent": 2, "ensure_ascii": False}))
