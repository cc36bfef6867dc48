"""Access to the Platform API of Genesys Cloud."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_core import PydanticCustomError

from offhook.config.explain import did_you_mean
from offhook.config.provider import empty_as_none, trimmed
from offhook.genesys import REGIONS, PlatformAccess, find_region, region_names
from offhook.tools.settings import Settings


def _check_region(name: str) -> str:
    """Return the AWS name of the region."""
    region = find_region(name)
    if region is None:
        fix = did_you_mean(name, region_names()) or f"known are {', '.join(region.name for region in REGIONS)}"
        raise PydanticCustomError("region", "there is no such region of Genesys Cloud", {"fix": fix})
    return region.name


def _check_url(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    local = host in ("localhost", "::1") or host.startswith("127.")
    right = host and (parts.scheme == "https" or (parts.scheme == "http" and local))
    if not right or "@" in parts.netloc or parts.query or parts.fragment or not url.isprintable() or " " in url:
        raise PydanticCustomError("genesys_url", "should be https://HOST, like https://api.mypurecloud.de")
    return url.rstrip("/")


def _check_client_id(client_id: str) -> str:
    if not client_id.isascii() or not client_id.isprintable() or " " in client_id or ":" in client_id:
        raise PydanticCustomError("client_id", "should be the ID of an OAuth client, a UUID")
    return client_id


Url = Annotated[Annotated[str, AfterValidator(_check_url)] | None, BeforeValidator(empty_as_none)]


class GenesysConfig(Settings):
    """An OAuth client of Genesys Cloud, with the grant Client Credentials."""

    region: Annotated[str, AfterValidator(_check_region)] = Field(
        description="Where the organization is: eu-central-1, mypurecloud.de, api.mypurecloud.de or EMEA (Frankfurt)."
    )
    client_id: Annotated[str, BeforeValidator(trimmed), Field(min_length=1), AfterValidator(_check_client_id)] = Field(
        description="ID of the OAuth client."
    )
    client_secret: Annotated[SecretStr, BeforeValidator(trimmed), Field(min_length=1)] = Field(
        description="Its secret; not the one of the Audio Connector."
    )
    api_url: Url = Field(default=None, description="In the place of the region's https://api.…, for proxies.")
    login_url: Url = Field(default=None, description="In the place of the region's https://login.…, for proxies.")

    def access(self) -> PlatformAccess:
        """Return what the Platform API is used with."""
        region = next(region for region in REGIONS if region.name == self.region)
        return PlatformAccess(
            api_url=self.api_url or f"https://{region.api_host}",
            login_url=self.login_url or f"https://{region.login_host}",
            client_id=self.client_id,
            client_secret=self.client_secret.get_secret_value(),
        )
