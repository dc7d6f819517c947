"""The environ that a request of the event loop becomes."""

from typing import Any

from jobsite.serving.environ import environ_of


def environ(path: bytes = b"/", *headers: tuple[bytes, bytes], **more: Any) -> dict[str, Any]:
    scope = {
        "method": "POST", "raw_path": path, "root_path": "", "query_string": b"a=1", "http_version": "1.1",
        "scheme": "http", "server": ("127.0.0.1", 8000), "client": ("10.0.0.7", 1234), "headers": headers,
    }  # fmt: skip
    return environ_of(scope | more)


def test_it_has_what_wsgi_asks_for() -> None:
    made = environ(b"/admin/", (b"host", b"localhost"), (b"content-type", b"text/plain"), (b"content-length", b"3"))
    wanted = {
        "REQUEST_METHOD": "POST", "PATH_INFO": "/admin/", "SCRIPT_NAME": "", "QUERY_STRING": "a=1",
        "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8000", "REMOTE_ADDR": "10.0.0.7",
        "HTTP_HOST": "localhost", "CONTENT_TYPE": "text/plain", "CONTENT_LENGTH": "3", "wsgi.url_scheme": "http",
    }  # fmt: skip
    assert made.items() >= wanted.items()


def test_bytes_of_a_path_are_kept() -> None:
    assert environ(b"/a%20b/%C3%A4/%FF%00")["PATH_INFO"] == "/a b/\xc3\xa4/\xff\x00"


def test_a_prefix_is_no_part_of_the_path() -> None:
    made = environ(b"/jobs/admin/", root_path="/jobs")
    assert (made["SCRIPT_NAME"], made["PATH_INFO"]) == ("/jobs", "/admin/")


def test_headers_that_come_twice_are_one() -> None:
    made = environ(b"/", (b"cookie", b"a=1"), (b"cookie", b"b=2"), (b"x-more", b"1"), (b"x-more", b"2"))
    assert (made["HTTP_COOKIE"], made["HTTP_X_MORE"]) == ("a=1; b=2", "1,2")


def test_an_underscore_does_not_pass_for_a_hyphen() -> None:
    made = environ(b"/", (b"x_forwarded_for", b"1.2.3.4"), (b"x_forwarded_proto", b"https"))
    assert not any(name.startswith("HTTP_X") for name in made)


def test_a_client_without_an_address_has_none() -> None:
    made = environ(b"/", server=None, client=None)
    assert (made["REMOTE_ADDR"], made["SERVER_NAME"]) == ("", "localhost")
