"""The admin port: for the people and programs that run the gateway, never for the Internet.

`serve_admin` serves it. What is added to it is a `Route` (see `routes`): it is served, guarded and documented by that.
"""

from offhook.admin.answers import Refusal
from offhook.admin.port import AdminPort, CannotListen, serve_admin
from offhook.admin.routes import Access, Answer, Route

__all__ = ["Access", "AdminPort", "Answer", "CannotListen", "Refusal", "Route", "serve_admin"]
