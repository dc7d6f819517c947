"""The form of a channel. An address that is kept is never sent back to the browser, not even masked."""

from typing import Any

from django import forms
from django.utils.html import format_html, format_html_join

from alerts.delivery import addresses
from alerts.models import Channel
from alerts.states import Way

_EXAMPLES = format_html_join("", "<li><code>{}</code></li>", ((example,) for example in addresses.EXAMPLES))
_HELP = format_html(
    "For people: a service and ://, as <a href={}>Apprise</a> has them. For programs: https://…<ul>{}</ul>",
    "https://github.com/caronc/apprise/wiki",
    _EXAMPLES,
)


class ChannelForm(forms.ModelForm):
    """A channel. `address` may stay empty when there is one already; then that is kept."""

    address = forms.CharField(
        required=False,
        max_length=4000,
        # A password's field shows nothing to who looks over a shoulder, and is empty when the form comes back.
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "class": "vTextField"}),
    )

    class Meta:
        model = Channel
        fields = [
            "name", "way", "enabled", "min_severity", "kinds", "bots", "after", "again_every", "quiet_from",
            "quiet_until", "critical_breaks_quiet",
        ]  # fmt: skip
        labels = {
            "min_severity": "From which severity on",
            "kinds": "Only these kinds",
            "bots": "Only these bots",
            "after": "Only after",
            "again_every": "Again every",
            "quiet_from": "Quiet from",
            "quiet_until": "Quiet until",
            "critical_breaks_quiet": "Critical incidents break the quiet",
        }
        help_texts = {
            "name": "How people call it: “On call”, “Team chat”.",
            "kinds": "Names with commas. Empty: all, and incidents that concern no kind.",
            "bots": "Names with commas. Empty: all, and incidents that concern no bot.",
            "after": "As 0:10:00 for ten minutes: told only when the incident is still open then.",
            "again_every": "As 1:00:00: told again and again until somebody acknowledges it. Empty: told once.",
            "quiet_until": "In the site's time zone, over midnight too. Then what is still true is told.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        there = self.instance.pk is not None
        # Nothing here knows what it was: it is in no page, and counts as changed only when one is given.
        self.initial.pop("address", None)
        self.fields["address"].help_text = (
            format_html("Empty: it stays {}. {}", self.instance.shown or "as it is", _HELP) if there else _HELP
        )

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        start, end = given.get("quiet_from"), given.get("quiet_until")
        if (start is None) != (end is None) and not self.errors:
            self.add_error("quiet_from" if start is None else "quiet_until", "Quiet hours need a beginning and an end.")
        elif start is not None and start == end:
            self.add_error("quiet_until", "Quiet hours that end when they begin are none. Leave both empty.")
        if given.get("way"):
            kept = self._check_address(given["way"], given.get("address") or "")
            if "address" not in self.errors:
                given["address"] = kept
        return given

    def _check_address(self, way: str, address: str) -> str:
        """The address to keep: the one that is given, or the one that is there."""
        if not address and self.instance.pk is None:
            self.add_error("address", "Give the address to send to.")
        elif not address and "way" in self.changed_data:
            self.add_error("address", f"The address that is there is for another way. Give one of {Way(way).label}.")
        if not address:
            return self.instance.address
        answer = addresses.check(way, address)
        if answer.ok:
            self.instance.shown = answer.shown
        else:
            self.add_error("address", answer.said)
        return address
