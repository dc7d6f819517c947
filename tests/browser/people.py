"""What people do in a browser in more than one test."""

from django.test import Client


def log_in(page, user):
    """Log in by the form, as people do."""
    page.goto("/admin/")
    page.fill("#id_username", user.username)
    page.fill("#id_password", f"{user.username} has a long password")
    page.click("input[type=submit]")


def come_in(context, live_server, user):
    """Be logged in already, in a browser's context of one's own."""
    client = Client()
    client.force_login(user)
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
    context.add_cookies([cookie])
