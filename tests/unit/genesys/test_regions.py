import pytest

from offhook.genesys import REGIONS, find_region, region_names

DOMAINS = {
    "us-east-1": "mypurecloud.com",
    "us-east-2": "use2.us-gov-pure.cloud",
    "us-west-2": "usw2.pure.cloud",
    "ca-central-1": "cac1.pure.cloud",
    "mx-central-1": "mxc1.pure.cloud",
    "sa-east-1": "sae1.pure.cloud",
    "eu-west-1": "mypurecloud.ie",
    "eu-west-2": "euw2.pure.cloud",
    "eu-central-1": "mypurecloud.de",
    "eu-central-2": "euc2.pure.cloud",
    "eusc-de-east-1": "edee1.eusc-pure.cloud",
    "me-central-1": "mec1.pure.cloud",
    "ap-south-1": "aps1.pure.cloud",
    "ap-southeast-1": "apse1.pure.cloud",
    "ap-southeast-2": "mypurecloud.com.au",
    "ap-northeast-1": "mypurecloud.jp",
    "ap-northeast-2": "apne2.pure.cloud",
    "ap-northeast-3": "apne3.pure.cloud",
}


def test_there_are_all_regions() -> None:
    assert {region.name: region.domain for region in REGIONS} == DOMAINS


@pytest.mark.parametrize(("name", "domain"), DOMAINS.items())
def test_a_region_is_found_by_each_of_its_names(name: str, domain: str) -> None:
    region = find_region(name)
    assert region is not None
    assert (region.api_host, region.login_host) == (f"api.{domain}", f"login.{domain}")
    for other in (domain, f"api.{domain}", *region.titles, f"  {name.upper()} ", region.titles[0].lower()):
        assert find_region(other) is region


def test_names_are_unambiguous() -> None:
    assert len(region_names()) == len(set(region_names()))
    for name in region_names():
        assert sum(find_region(name) is region for region in REGIONS) == 1


def test_accents_and_blanks_do_not_matter() -> None:
    assert find_region("Americas (Sao  Paulo)") is find_region("sa-east-1")


@pytest.mark.parametrize("name", ["", "eu-central-9", "pure.cloud", "login.mypurecloud.de", "evil.mypurecloud.de"])
def test_other_names_are_none(name: str) -> None:
    assert find_region(name) is None
