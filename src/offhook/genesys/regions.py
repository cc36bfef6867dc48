"""The regions of Genesys Cloud: each has hosts of its own, and an organization lives in exactly one.

As of November 2026: the regions of Genesys' own SDKs (``PureCloudRegionHosts``), with the titles of its list "AWS
regions for Genesys Cloud deployment". Regions that carry only media have no Platform API, so they are not here.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Region:
    """Where an organization is deployed."""

    name: str
    """As AWS calls it, like ``eu-central-1``."""
    domain: str
    """Ends the names of all hosts, like ``mypurecloud.de``."""
    titles: tuple[str, ...]
    """As Genesys calls it; the first is the one in its list of regions."""

    @property
    def api_host(self) -> str:
        """Host of the Platform API."""
        return f"api.{self.domain}"

    @property
    def login_host(self) -> str:
        """Host that hands out tokens."""
        return f"login.{self.domain}"


REGIONS = (
    Region("us-east-1", "mypurecloud.com", ("Americas (US East)",)),
    Region("us-east-2", "use2.us-gov-pure.cloud", ("Americas (US East 2)", "FedRAMP")),
    Region("us-west-2", "usw2.pure.cloud", ("Americas (US West)",)),
    Region("ca-central-1", "cac1.pure.cloud", ("Americas (Canada)",)),
    Region("mx-central-1", "mxc1.pure.cloud", ("Americas (Mexico)",)),
    Region("sa-east-1", "sae1.pure.cloud", ("Americas (São Paulo)", "South America (São Paulo)")),
    Region("eu-west-1", "mypurecloud.ie", ("EMEA (Dublin)", "EMEA (Ireland)")),
    Region("eu-west-2", "euw2.pure.cloud", ("EMEA (London)",)),
    Region("eu-central-1", "mypurecloud.de", ("EMEA (Frankfurt)",)),
    Region("eu-central-2", "euc2.pure.cloud", ("EMEA (Zurich)",)),
    Region("eusc-de-east-1", "edee1.eusc-pure.cloud", ("European Sovereign Cloud",)),
    Region("me-central-1", "mec1.pure.cloud", ("Middle East (UAE)", "EMEA (UAE)")),
    Region("ap-south-1", "aps1.pure.cloud", ("Asia Pacific (Mumbai)",)),
    Region("ap-southeast-1", "apse1.pure.cloud", ("Asia Pacific (Singapore)",)),
    Region("ap-southeast-2", "mypurecloud.com.au", ("Asia Pacific (Sydney)",)),
    Region("ap-northeast-1", "mypurecloud.jp", ("Asia Pacific (Tokyo)",)),
    Region("ap-northeast-2", "apne2.pure.cloud", ("Asia Pacific (Seoul)",)),
    Region("ap-northeast-3", "apne3.pure.cloud", ("Asia Pacific (Osaka)",)),
)


def find_region(name: str) -> Region | None:
    """Return the region that ``name`` means: its AWS name, domain, API host or title; None if there is none."""
    wanted = _plain(name)
    return next((region for region in REGIONS if wanted in map(_plain, _names(region))), None)


def region_names() -> list[str]:
    """Return every name that a region can be found by."""
    return [name for region in REGIONS for name in _names(region)]


def _names(region: Region) -> Iterator[str]:
    yield from (region.name, region.domain, region.api_host, *region.titles)


def _plain(name: str) -> str:
    """Return the name without accents, capitals and doubled blanks: "Sao Paulo" is what many keyboards have."""
    letters = unicodedata.normalize("NFKD", name)
    return " ".join("".join(letter for letter in letters if not unicodedata.combining(letter)).casefold().split())
