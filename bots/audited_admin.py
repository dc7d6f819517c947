"""The base of admin pages whose forms change something: the audit log has each change, in place of the admin's own."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import nullcontext
from typing import Any, NamedTuple

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from bots import audit
from bots.acts import Act
from bots.models import AuditEntry
from jobsite.lib.admin import GuardedActions, checks_names
from jobsite.lib.names import fault

#: The most entries on an object's page.
ENTRIES_SHOWN = 300


class FormChange(NamedTuple):
    """What a form changed, field by field."""

    before: dict[str, Any]
    after: dict[str, Any]


class AuditedAdmin(GuardedActions):
    """Record what forms add, change and delete. What a verb records by itself needs no more."""

    #: Whether `save_model` of a new object calls a verb, which records it.
    adds_by_verb = False
    #: Whether what is done to a list is one transaction: for the admin's own action, which deletes.
    list_in_transaction = False

    #: Fields that are names.
    names: Collection[str] = ("name", "username", "first_name", "last_name")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return checks_names(super().get_form(request, obj, change=change, **kwargs), self.names)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], add: bool = False, change: bool = False,
        form_url: str = "", obj: Any = None,
    ) -> HttpResponse:  # fmt: skip
        # A name from before the rule stays, and is marked.
        context["name_fault"] = next((why for name in self.names if (why := fault(getattr(obj, name, "") or ""))), "")
        return super().render_change_form(request, context, add, change, form_url, obj)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        with transaction.atomic() if self.list_in_transaction else nullcontext():
            return super().changelist_view(request, extra_context)

    def construct_change_message(  # type: ignore[override]
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> FormChange:
        """What the form changed, which the admin hands on to `log_addition` and `log_change`."""
        return form_change(form, add=add)

    def log_addition(self, request: HttpRequest, obj: models.Model, message: FormChange) -> None:  # type: ignore[override]
        """Record an addition by form."""
        if not self.adds_by_verb:
            self.record(request, Act.CREATE, [audit.subject(obj, *message)])

    def log_change(self, request: HttpRequest, obj: models.Model, message: FormChange) -> None:  # type: ignore[override]
        """Record a change by form, if it changed anything."""
        if message.after or message.before:
            self.record(request, Act.CHANGE, [audit.subject(obj, *message)])

    def log_deletions(self, request: HttpRequest, queryset: Iterable[models.Model]) -> None:  # type: ignore[override]
        """Record deletions."""
        self.record(request, Act.DELETE, [audit.subject(obj) for obj in queryset])

    def record(self, request: HttpRequest, verb: Act, subjects: Iterable[audit.Subject], reason: str = "") -> None:
        """Record an act of this user."""
        audit.record(verb, subjects, by=audit.caller(request), reason=reason)

    def entries_about(self, obj: models.Model) -> QuerySet[AuditEntry]:
        """The entries about this object."""
        return AuditEntry.objects.filter(object_type=audit.type_of(obj), object_id=str(obj.pk))

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What people did to this object, newest first."""
        obj = self.get_object(request, unquote(object_id))
        if obj is None:
            raise Http404(f"There is no such {self.opts.verbose_name}.")
        if not self.has_view_or_change_permission(request, obj):
            raise PermissionDenied
        context = self.admin_site.each_context(request) | {
            "title": f"Audit log of {obj}",
            "opts": self.opts,
            "object": obj,
            "entries": list(self.entries_about(obj).order_by("-id")[:ENTRIES_SHOWN]),
        }
        return TemplateResponse(request, "admin/object_history.html", context | (extra_context or {}))


def form_change(form: ModelForm, *, add: bool = False) -> FormChange:
    """The values of a valid form's fields: of a new object those that are given, of another those that changed."""
    given = form.cleaned_data
    # The form of a password calls what it changed by the name of the user's field, which it does not have.
    secret = dict.fromkeys(audit.SECRET_FIELDS & set(form.changed_data), True)
    names = [name for name in (form.fields if add else form.changed_data) if name in given or name in secret]
    after = {name: secret.get(name) or _plain(given[name]) for name in names}
    if add:
        return FormChange({}, {name: value for name, value in after.items() if value not in (None, "", [], {})})
    before = {name: secret.get(name) or _plain(form.initial.get(name)) for name in names}
    # Secret values are not compared: a form does not have the old one.
    changed = [name for name in names if before[name] != after[name] or name in secret]
    return FormChange(_only(changed, before), _only(changed, after))


def _only(names: Iterable[str], values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in names}


def _plain(value: Any) -> Any:
    """A form's value as JSON has it. Rows are named."""
    if isinstance(value, models.Model):
        return str(value)
    if isinstance(value, QuerySet | list | tuple | set):
        items = [_plain(item) for item in value]
        return sorted(items) if any(isinstance(item, models.Model) for item in value) else items
    return value
