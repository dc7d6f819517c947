"""The web server's side of the site: bodies are read whole on an event loop, and threads do the work.

A WSGI server gives a thread to each request from its first byte, and cannot tell a body that broke off from one that
ended. Here a connection that sends slowly, or nothing, holds no thread, and a call begins when its body is complete
(docs/decisions/0021-web-server-limits.md).
"""
