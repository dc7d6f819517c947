"""The form of a channel. A stored address is never sent to the browser, not even masked."""

from typing import Any

from django import forms
from django.utils.html import format_html, format_html_join

from alerts.delivery import addresses
from alerts.models import Channel
from alerts.states import Way
from jobsite.lib.names import names_in, names_out

_EXAMPLES = format_html_join("", "<li><code>{}</code></li>", ((example,) for example in addresses.EXAMPLES))
_HELP = format_html(
    "Apprise: an address of <a href={}>a supported service</a>. Webhook: https://…<ul>{}</ul>",
    "https://github.com/caronc/apprise/wiki",
    _EXAMPLES,
)


class NamesField(forms.CharField):
    """Names with commas between them. One that has a comma itself stands in quotes."""

    def to_python(self, value: Any) -> Any:
        if "\0" in str(value or ""):
            raise forms.ValidationError("Use only characters that can be seen.")
        try:
            return value if isinstance(value, list) else names_in(value or "")
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None

    def prepare_value(self, value: Any) -> Any:
        return names_out(value) if isinstance(value, list) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(list(initial or []) != self.to_python(data))
        except forms.ValidationError:
            return True


class ChannelForm(forms.ModelForm):
    """A channel. An empty `address` keeps the stored one."""

    address = forms.CharField(
        required=False,
        max_length=4000,
        # A password field hides its text, and is empty when the form is shown again.
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "class": "vTextField"}),
    )

    bots = NamesField(
        label="Bots",
        required=False,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text='Comma-separated; a name with a comma in quotes: "ada, the first". Empty: all bots, and incidents '
        "that concern no bot.",
    )

    class Meta:
        model = Channel
        fields = [
            "name", "way", "enabled", "min_severity", "kinds", "bots", "after", "again_every", "quiet_from",
            "quiet_until", "critical_breaks_quiet",
        ]  # fmt: skip
        labels = {
            "way": "Type",
            "min_severity": "Minimum severity",
            "kinds": "Kinds",
            "after": "Delay",
            "again_every": "Repeat every",
            "quiet_from": "Quiet hours start",
            "quiet_until": "Quiet hours end",
            "critical_breaks_quiet": "Critical in quiet hours",
        }
        help_texts = {
            "name": "Name shown to operators, such as “On call” or “Team chat”.",
            "kinds": "Comma-separated. Empty: all kinds, and incidents that concern no kind.",
            "after": "Notify only if the incident is still open after this time, such as 0:10:00 for ten minutes.",
            "again_every": "Send a reminder at this interval, such as 1:00:00, until someone acknowledges the "
            "incident. Empty: no reminders.",
            "quiet_until": "In the installation's time zone; may span midnight. Notifications that are still true are "
            "sent at the end.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        exists = self.instance.pk is not None
        # No page contains the stored address, so it counts as changed only if a new one is entered.
        self.initial.pop("address", None)
        self.fields["address"].help_text = (
            format_html("Empty: keep {}. {}", self.instance.shown or "the present one", _HELP) if exists else _HELP
        )

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        start, end = given.get("quiet_from"), given.get("quiet_until")
        if (start is None) != (end is None) and not self.errors:
            self.add_error("quiet_from" if start is None else "quiet_until", "Quiet hours need a start and an end.")
        elif start is not None and start == end:
            self.add_error("quiet_until", "Start and end are the same. For no quiet hours, leave both empty.")
        if given.get("way"):
            address = self._check_address(given["way"], given.get("address") or "")
            if "address" not in self.errors:
                given["address"] = address
        return given

    def _check_address(self, way: str, address: str) -> str:
        """Return the address to store: the one entered, or the stored one."""
        if not address and self.instance.pk is None:
            self.add_error("address", "Enter the address to send to.")
        elif not address and "way" in self.changed_data:
            self.add_error("address", f"The stored address is for another type. Enter one for {Way(way).label}.")
        if not address:
            return str(self.instance.address)
        result = addresses.check(way, address)
        if result.ok:
            self.instance.shown = result.shown
        else:
            self.add_error("address", result.detail)
        return address
