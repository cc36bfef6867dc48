"""From a configured provider to the address and the headers of a Realtime session.

Facts: openai-realtime.md §1.1 (address), §1.2 (headers), §1.5 (Azure). The header `OpenAI-Beta` is never sent: with it
the service speaks a protocol that has been switched off.
"""

from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit, urlunsplit

from offhook._version import __version__
from offhook.config import ProviderConfig

USER_AGENT = f"offhook/{__version__}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect, and with which headers."""

    url: str
    headers: dict[str, str] = field(repr=False)


def endpoint(provider: ProviderConfig, model: str, *, safety_identifier: str = "") -> Endpoint:
    """Return address and headers for one session.

    Args:
        provider: whose API it is.
        model: name of the model; on Azure, of the deployment. A model that the URL names already stays.
        safety_identifier: keyed hash of the caller's number; only OpenAI gets it, for only OpenAI asks for it.
    """
    headers = {"User-Agent": USER_AGENT}
    kind = provider.resolved_kind
    if provider.api_key is not None:
        secret = provider.api_key.get_secret_value()
        headers.update({"api-key": secret} if kind == "azure" else {"Authorization": f"Bearer {secret}"})
    if provider.organization:
        headers["OpenAI-Organization"] = provider.organization
    if provider.project:
        headers["OpenAI-Project"] = provider.project
    if safety_identifier and kind == "openai":
        headers["OpenAI-Safety-Identifier"] = safety_identifier
    for name, value in provider.headers.items():
        for known in [known for known in headers if known.lower() == name.lower()]:
            del headers[known]
        headers[name] = value.get_secret_value()
    return Endpoint(_with_model(provider.url, model), headers)


def _with_model(url: str, model: str) -> str:
    parts = urlsplit(url)
    if any(pair.partition("=")[0] == "model" for pair in parts.query.split("&")):
        return url
    query = f"{parts.query}&" if parts.query else ""
    return urlunsplit(parts._replace(query=query + urlencode({"model": model})))
