"""Two servers that start at once collect the static files one after the other, and the second has nothing to do."""

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles.management.commands import collectstatic
from django.core.management import call_command

pytestmark = pytest.mark.django_db


@pytest.fixture
def source(tmp_path: Path, settings: Any) -> Path:
    """A folder with one file, which is all there is to collect."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "site.css").write_text("a {}")
    settings.STATICFILES_DIRS = [folder]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STATIC_ROOT = tmp_path / "static"
    return folder


def collect(**options: Any) -> None:
    call_command("collectstatic", interactive=False, verbosity=0, **options)


def collected(settings: Any) -> str:
    return (Path(settings.STATIC_ROOT) / "site.css").read_text()


@pytest.mark.usefixtures("source")
def test_two_at_once_write_the_files_once(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    begun, free, running = threading.Event(), threading.Event(), []
    own = collectstatic.Command.handle

    def handle(self: Any, **options: Any) -> Any:
        running.append(threading.get_ident())
        begun.set()
        assert free.wait(60)
        return own(self, **options)

    monkeypatch.setattr(collectstatic.Command, "handle", handle)
    both = [threading.Thread(target=collect) for _ in range(2)]
    both[0].start()
    assert begun.wait(60)
    both[1].start()
    # The other may not come further than the lock before the first is done.
    assert len(running) == 1
    free.set()
    for thread in both:
        thread.join(60)
    assert len(running) == 1
    assert collected(settings) == "a {}"


def test_a_changed_file_is_collected_again(source: Path, settings: Any) -> None:
    collect()
    (source / "site.css").write_text("b { color: red }")
    # Django compares whole seconds.
    os.utime(source / "site.css", (time.time() + 2, time.time() + 2))
    collect()
    assert collected(settings) == "b { color: red }"


@pytest.mark.usefixtures("source")
def test_clear_collects_all_again(settings: Any) -> None:
    collect()
    (Path(settings.STATIC_ROOT) / "site.css").unlink()
    collect()
    assert not (Path(settings.STATIC_ROOT) / "site.css").exists()
    collect(clear=True)
    assert collected(settings) == "a {}"


@pytest.mark.usefixtures("source")
def test_one_that_failed_leaves_the_next_everything_to_do(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(collectstatic.Command, "collect", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            collect()
    collect()
    assert collected(settings) == "a {}"
