"""Which addresses a tool may reach: those of the public Internet, unless its settings allow others."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

# Special ranges that not every supported Python counts among those that are not global.
_SPECIAL = tuple(
    ip_network(text)
    for text in ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2002::/16", "fec0::/10", "64:ff9b:1::/48", "::/96")
)
_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Tell whether a numeric IPv4 or IPv6 address is one of the public Internet; what is no address is not."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        inner = _embedded(found)
        if inner is not None:
            found = inner
    if any(found in network for network in _SPECIAL if network.version == found.version):
        return False
    return found.is_global and not (found.is_multicast or found.is_reserved)


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that is really reached: ``::ffff:10.0.0.1``, ``64:ff9b::10.0.0.1``."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped
