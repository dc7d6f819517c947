"""Share base classes and texts among the admin pages of all apps."""

from collections.abc import Collection, Iterator
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import get_fields_from_path
from django.contrib.admin.views.main import ERROR_FLAG, ChangeList
from django.core.exceptions import FieldDoesNotExist, PermissionDenied, ValidationError
from django.db import DataError
from django.db.models import DateField, DateTimeField, IntegerField
from django.forms.utils import to_current_timezone
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString, mark_safe

from jobsite.lib.names import fault
from jobsite.lib.strict_json import unkeepable

#: What the admin's filters append to the name of a field: any, one by date, and the date hierarchy.
FILTER_SUFFIXES, DATE_SUFFIXES, HIERARCHY_SUFFIXES = ("exact", "isnull"), ("gte", "lt"), ("year", "month", "day")


def count_of(n: int, singular: str, plural: str = "") -> str:
    """Format a count: `1 bot`, `2 bots`."""
    return f"{n} {singular if n == 1 else plural or singular + 's'}"


def checks_names(form: Any, fields: Collection[str]) -> Any:
    """The form with the rule of names for these fields where they are new. A name that is there may stay."""

    def clean(self: Any) -> Any:
        cleaned = super(checked, self).clean()
        for name in fields:
            if name in self.changed_data and (message := fault(self.cleaned_data.get(name) or "")):
                self.add_error(name, message)
        return cleaned

    checked = type(form)(form.__name__, (form,), {"clean": clean, "__module__": form.__module__})
    return checked


class GuardedLookups(admin.ModelAdmin):
    """Filter a list by its own filters alone, and answer an odd value with a message.

    Django alone filters by any column of the model and any look-up, whatever the page shows. With `?secret__regex=^4`
    somebody who may see the list could read a column that no page shows, a letter at a time.
    """

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Whether this is a parameter of one of the list's own filters."""
        return lookup in set(self._own_lookups(request))

    def _own_lookups(self, request: HttpRequest | None) -> Iterator[str]:
        if self.date_hierarchy:
            yield from (f"{self.date_hierarchy}__{suffix}" for suffix in HIERARCHY_SUFFIXES)
        for item in self.list_filter if request is None else self.get_list_filter(request):
            if isinstance(item, type):
                yield str(item.parameter_name)  # type: ignore[attr-defined]
                continue
            path = item if isinstance(item, str) else str(item[0])  # type: ignore[index]
            field: Any = get_fields_from_path(self.model, path)[-1]
            by_date = DATE_SUFFIXES if isinstance(field, DateField) else ()
            yield path
            yield from (f"{path}__{suffix}" for suffix in (*FILTER_SUFFIXES, *by_date))
            if field.is_relation:
                yield f"{path}__{field.target_field.name}__exact"

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        try:
            return super().get_changelist_instance(request)
        except (DataError, OverflowError, ValidationError, ValueError) as error:
            if not request.GET:
                raise
            raise IncorrectLookupParameters(error) from error

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if ERROR_FLAG in request.GET:
            # Django redirects here without the parameters it could not use, and says nothing about it.
            given = request.GET.copy()
            del given[ERROR_FLAG]
            request.GET = given  # type: ignore[assignment]
            text = "A filter in the address could not be used. The list is shown without it."
            self.message_user(request, text, messages.WARNING)
        return super().changelist_view(request, extra_context)


class GuardedActions(GuardedLookups):
    """The base of every page of a model: its actions are run as the page offers them, or refused.

    `jobsite.console.site` adds it to pages of Django and of libraries.

    With `refreshes` the list asks for its rows again every few seconds, which a template of its own answers.
    An action that the user may not use is 403, where Django alone redirects with "no action selected". One that the
    page does not have, and ids that no row can have, are a message.
    """

    #: Whether the list is refreshed while somebody looks at it, and the template of its table.
    refreshes = False
    table_template = "admin/table.html"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method == "POST":
            if not self.has_view_or_change_permission(request):
                raise PermissionDenied
            if fault := self._take_action(request):
                self.message_user(request, f"{fault} Nothing was changed.", messages.WARNING)
                return redirect(request.get_full_path())
        title = {"title": str(self.opts.verbose_name_plural)[:1].upper() + str(self.opts.verbose_name_plural)[1:]}
        response = super().changelist_view(request, title | (extra_context or {}))
        refreshes = self.refreshes and request.htmx and request.method == "GET"  # type: ignore[attr-defined]
        if refreshes and isinstance(response, TemplateResponse):
            response.template_name = "admin/look.html"
        # A button on another page posts the list's action, and returns to its own page.
        back = request.POST.get("back", "")
        if response.status_code == 302 and url_has_allowed_host_and_scheme(back, {request.get_host()}):
            return redirect(back)
        return response

    @admin.display(description=mark_safe('<input type="checkbox" id="action-toggle">'))
    def action_checkbox(self, obj: Any) -> SafeString:
        """The box that selects a row, as Django writes it: its widget renders a template for each row."""
        return format_html(
            '<input type="checkbox" name="{}" value="{}" class="action-select" aria-label="{}">',
            ACTION_CHECKBOX_NAME, obj.pk, f"Select this object for an action - {obj}",
        )  # fmt: skip

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """The object of a page, read once for a page that only shows it: by ours, and by Django for its form."""
        if request.method != "GET":
            return super().get_object(request, object_id, from_field)
        read: dict[Any, Any] = request.__dict__.setdefault("objects_read", {})
        key = self.model, str(object_id), from_field
        if key not in read:
            read[key] = super().get_object(request, object_id, from_field)
        return read[key]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """The first values of a new form, from its address. Django shows a moment that is still text as a failure."""
        given = super().get_changeform_initial_data(request)
        return {name: value for name, text in given.items() if (value := self._first_value(name, text)) is not None}

    def _first_value(self, name: str, text: Any) -> Any:
        """What the form shows for this text. None: it is no moment, and is left out."""
        try:
            field: Any = self.opts.get_field(name)
        except FieldDoesNotExist:
            return text
        if not isinstance(field, DateTimeField) or not isinstance(text, str):
            return text
        try:
            return to_current_timezone(field.to_python(text))
        except (ValidationError, OverflowError):
            return None

    def _take_action(self, request: HttpRequest) -> str:
        """Reduce the form to its one action and to ids that a row can have. Returns what is wrong with it."""
        form = request.POST.copy()
        chosen, index = form.getlist("action"), form.get("index", "0")
        # A form may have a menu above the list and one below; `index` is the one whose button was pressed.
        name = chosen[int(index)] if index in {"0", "1"} and int(index) < len(chosen) else ""
        ours: dict[str, Any] = {
            action if isinstance(action, str) else action.__name__: action for action in self.actions or ()
        }
        if name not in self.get_actions(request):
            if name in ours:
                self._deny(request, ours[name])
            return "Choose an action of this list."
        ids = [pk for pk in form.getlist(ACTION_CHECKBOX_NAME) if self._is_id(pk)]
        across = form.get("select_across") == "1"
        form.setlist("action", [name])
        form.setlist("index", ["0"])
        form.setlist("select_across", [str(int(across))])
        form.setlist(ACTION_CHECKBOX_NAME, ids)
        request.POST = form  # type: ignore[assignment]
        return "" if ids or across else "Tick the rows that are meant."

    def _deny(self, request: HttpRequest, action: Any) -> None:
        """Ask once more for the permissions of this action, so that the last one refused is its own."""
        function = getattr(self, action) if isinstance(action, str) else action
        for permission in getattr(function, "allowed_permissions", ()):
            getattr(self, f"has_{permission}_permission")(request)
        raise PermissionDenied

    def _is_id(self, text: str) -> bool:
        field = self.opts.pk
        try:
            value = field.to_python(text)
            if isinstance(field, IntegerField):
                # PostgreSQL refuses a number beyond the column's range.
                field.run_validators(value)
        except ValidationError:
            return False
        return not unkeepable(text)
