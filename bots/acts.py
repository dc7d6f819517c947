"""What people do, by the names that the audit log, its filters and the scopes of keys have for it. Pure."""

from django.db.models import TextChoices


class Act(TextChoices):
    """One act of a person, as `AuditEntry.verb` has it. Verbs on jobs have the names of `jobs.states.Verb`."""

    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"
    REGISTER = "register"
    ROTATE = "rotate"
    REVOKE = "revoke"
    EXPECT = "expect"
    DO_NOT_EXPECT = "do_not_expect", "do not expect"
    PAUSE = "pause"
    RESUME = "resume"
    CLEAR_QUARANTINE = "clear_quarantine", "clear quarantine"
    RESTART = "restart"
    ENQUEUE = "enqueue"
    RELEASE = "release"
    RETRY = "retry"
    CANCEL = "cancel"
    PRIORITISE = "prioritise"
    ACCEPT = "accept"
    ACKNOWLEDGE = "acknowledge"
    TEST = "test"
    RETIRE = "retire"
    SEND = "send"
    RUN = "run"
    SKIP = "skip"
    RESOLVE = "resolve"
    IGNORE = "ignore"
    REOPEN = "reopen"
    EDIT = "edit"
    TAKE_BACK = "take_back", "take back"


class Via(TextChoices):
    """How an act came in."""

    CONSOLE = "console"
    API = "api", "API"
    COMMAND = "command"


def about(kind: str, number: object, name: str) -> str:
    """Name what an act is about. Several objects have no number, and their name says what they are."""
    return f"{kind} {name}".strip() if str(number) else name


#: The scope of a key that may read. The others are acts.
READ = "read"
#: What a key can be limited to: reading, and the acts that the API offers.
SCOPES = (
    READ, Act.ENQUEUE, Act.RELEASE, Act.RETRY, Act.CANCEL, Act.REGISTER, Act.EXPECT, Act.PAUSE, Act.RESUME,
    Act.RESTART, Act.ACKNOWLEDGE, Act.CHANGE, Act.DELETE, Act.RUN, Act.SKIP, Act.RESOLVE,
    Act.IGNORE, Act.EDIT, Act.TAKE_BACK,
)  # fmt: skip
