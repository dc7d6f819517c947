"""The roles, which are groups with these permissions, and how `migrate` keeps them without undoing people's changes."""

from django.contrib.auth.models import Group, Permission
from django.db import transaction

from bots.models import RoleGrant
from bots.people import named

_VIEWER = (
    "jobs.view_job", "jobs.view_jobkind", "jobs.view_jobevent", "jobs.view_schedule", "bots.view_bot",
    "alerts.view_incident",
)  # fmt: skip
_OPERATOR = (
    *_VIEWER,
    "jobs.view_payload", "jobs.add_job", "jobs.release_job", "jobs.retry_job", "jobs.cancel_job", "jobs.accept_job",
    "jobs.prioritise_job", "jobs.edit_job", "jobs.take_back_job", "jobs.add_savedsearch", "jobs.view_errorgroup",
    "jobs.resolve_errorgroup",
    "jobs.pause_jobkind", "jobs.run_schedule", "jobs.pause_schedule",
    "bots.pause_bot", "bots.restart_bot", "alerts.acknowledge_incident",
    "alerts.view_channel", "alerts.view_delivery", "alerts.retry_delivery", "alerts.send_held_delivery",
)  # fmt: skip
_MANAGER = (
    *_OPERATOR,
    "jobs.delete_job", "jobs.add_jobkind", "jobs.change_jobkind", "jobs.add_schedule", "jobs.change_schedule",
    "jobs.delete_schedule", "bots.add_bot", "bots.change_bot", "bots.rotate_bot_token",
    "bots.view_apikey", "bots.revoke_apikey", "bots.view_auditentry", "alerts.add_channel", "alerts.change_channel",
    "alerts.delete_channel", "alerts.test_channel",
)  # fmt: skip
_ADMINISTRATOR = (
    *_MANAGER,
    "bots.add_apikey", "bots.view_login", "bots.view_secondfactor", "bots.delete_secondfactor",
    "auth.view_user", "auth.add_user", "auth.change_user", "auth.delete_user", "auth.view_group",
    "auth.add_group", "auth.change_group", "auth.delete_group",
)  # fmt: skip

#: The permissions of each role. Each has those of the role before it.
ROLES = {"viewer": _VIEWER, "operator": _OPERATOR, "manager": _MANAGER, "administrator": _ADMINISTRATOR}


@transaction.atomic
def apply() -> list[str]:
    """Create the groups of roles that are new, and give each role the permissions that it was never given before.

    What a person took from a group does not come back, nor a group that they deleted or renamed. Returns the roles
    that have no group, because a person had made one of that name before.
    """
    for role in ROLES:
        RoleGrant.objects.get_or_create(role=role)
    taken = []
    for grant in RoleGrant.objects.filter(role__in=ROLES).order_by("pk").select_for_update():
        if not grant.granted:
            grant.group, made = Group.objects.get_or_create(name=grant.role)
            if not made:
                taken.append(grant.role)
                grant.group = None
        _grant(grant)
    return taken


def _grant(grant: RoleGrant) -> None:
    new = set(ROLES[grant.role]) - set(grant.granted)
    if grant.group is not None:
        codenames = [name.partition(".")[2] for name in new]
        found = Permission.objects.select_related("content_type").filter(codename__in=codenames)
        grant.group.permissions.add(*(permission for permission in found if named([permission]) <= new))
    grant.granted = sorted({*grant.granted, *new})
    grant.save(update_fields=["group", "granted"])
