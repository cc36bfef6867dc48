"""The Platform API of Genesys Cloud, as far as data actions need it."""

from offhook.genesys.action import Action
from offhook.genesys.errors import (
    NotPermitted,
    PlatformError,
    RateLimited,
    Refused,
    SignInRefused,
    Unanswered,
    UnknownAction,
    Unreachable,
    Unreadable,
)
from offhook.genesys.platform import PlatformAccess, PlatformApi
from offhook.genesys.regions import REGIONS, Region, find_region, region_names

__all__ = [
    "REGIONS",
    "Action",
    "NotPermitted",
    "PlatformAccess",
    "PlatformApi",
    "PlatformError",
    "RateLimited",
    "Refused",
    "Region",
    "SignInRefused",
    "Unanswered",
    "UnknownAction",
    "Unreachable",
    "Unreadable",
    "find_region",
    "region_names",
]
