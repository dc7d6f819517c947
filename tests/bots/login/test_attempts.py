"""How many logins may fail: per name and place, per place, per name, and at the same time."""

from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from bots.login import attempts
from bots.login.attempts import TooManyFailures, source_of, wait_after
from bots.login.models import Login, Outcome, Way

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def minutes_ago(*minutes):
    return [NOW - timedelta(minutes=one) for one in minutes]


def failures(name, *minutes):
    return [(name, at) for at in minutes_ago(*minutes)]


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
    ],
)
def test_a_network_of_ipv6_is_one_source(address, source):
    assert source_of(address) == source


def test_the_fifth_failure_of_a_name_from_a_place_makes_it_wait_for_the_first_to_grow_old():
    assert wait_after(NOW, failures("olga", 1, 2, 3, 4), [], "olga", None) <= timedelta()
    assert wait_after(NOW, failures("olga", 1, 2, 3, 4, 10), [], "olga", None) == timedelta(minutes=5)


def test_a_good_login_from_a_place_ends_the_count_of_that_name_there():
    assert wait_after(NOW, failures("olga", 1, 5, 6, 7, 8), [], "olga", NOW - timedelta(minutes=3)) <= timedelta()


def test_twenty_failures_from_one_place_under_any_names_stop_the_place():
    here = [(f"name{n}", NOW - timedelta(minutes=1)) for n in range(20)]
    assert wait_after(NOW, here[:19], [], "olga", None) <= timedelta()
    assert wait_after(NOW, here, [], "olga", None) == timedelta(minutes=14)
    assert wait_after(NOW, here, [], "olga", NOW) == timedelta(minutes=14)


def test_a_stranger_cannot_lock_somebody_out_of_a_place_they_log_in_from():
    everywhere = minutes_ago(*[1] * 50)
    assert wait_after(NOW, [], everywhere, "olga", None) == timedelta(minutes=14)
    assert wait_after(NOW, [], everywhere, "olga", NOW - timedelta(days=20)) <= timedelta()


@pytest.mark.django_db
def test_refused_attempts_leave_one_row_a_minute():
    for _ in range(5):
        attempts.begin("olga", "192.0.2.7", Way.PASSWORD)
    for _ in range(3):
        with pytest.raises(TooManyFailures, match="Try again in 15 minutes"):
            attempts.begin("olga", "192.0.2.7", Way.PASSWORD)
    assert Login.objects.filter(outcome=Outcome.REFUSED).count() == 1
    attempts.begin("olga", "192.0.2.8", Way.PASSWORD)


@pytest.mark.django_db
def test_failures_are_forgotten_after_the_window():
    for _ in range(5):
        attempts.begin("olga", "192.0.2.7", Way.PASSWORD)
    Login.objects.update(at=Now() - timedelta(seconds=901))
    attempts.begin("olga", "192.0.2.7", Way.PASSWORD)


@pytest.mark.django_db(transaction=True)
def test_attempts_at_the_same_time_are_as_few_as_one_after_another():
    begun, refused, start = [], [], Barrier(12)

    def attempt():
        start.wait()
        try:
            begun.append(attempts.begin("olga", "192.0.2.7", Way.PASSWORD))
        except TooManyFailures:
            refused.append(1)
        finally:
            connection.close()

    threads = [Thread(target=attempt) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(begun), len(refused)) == (5, 7)


@pytest.mark.django_db
def test_old_logins_are_deleted_and_young_ones_kept(settings):
    attempts.record("olga", "192.0.2.7", Way.SSO, Outcome.GOOD)
    attempts.record("vera", "192.0.2.7", Way.SSO, Outcome.GOOD)
    Login.objects.filter(username="olga").update(at=F("at") - timedelta(days=91))
    settings.LOGINS_KEPT = timedelta()
    assert attempts.prune() == 0
    settings.LOGINS_KEPT = timedelta(days=90)
    assert attempts.prune() == 1
    assert Login.objects.get().username == "vera"


@pytest.mark.django_db
def test_a_name_that_is_no_text_is_recorded_as_one():
    attempts.record("ol\nga\0" + "x" * 500, "192.0.2.7", Way.SSO, Outcome.FAILED)
    assert Login.objects.get().username == ("ol?ga?" + "x" * 500)[:150]
