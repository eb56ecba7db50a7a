"""The addresses that calls may go to: the public internet, and the networks that the deployer allows.

Source: docs/design.md section 9; the IANA special-purpose address registries.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from msgspec import Struct

Network = IPv4Network | IPv6Network
"""A range of addresses."""

# ``ip_address.is_global`` is not used, because its tables differ between patch versions of Python.
_INTERNAL_4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # behind a carrier's NAT
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local, with the metadata service
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",  # documentation, as the two below
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_GLOBAL_6 = IPv6Network("2000::/3")
_INTERNAL_6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, with Teredo
        "2001:db8::/32",  # documentation, as the last
        "2002::/16",  # 6to4
        "3fff::/20",
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")


class AddressGuard(Struct, frozen=True):
    """Decides whether a call may go to an address. ``allowed`` are networks that are permitted in addition."""

    allowed: tuple[Network, ...] = ()

    def permits(self, address: str) -> bool:
        """Return whether an address, in the form of a resolver or a socket, is public or allowed."""
        given = ip_address(address)
        # An IPv4 address inside an IPv6 one (mapped, or NAT64) is judged by the address it leads to.
        target = _unwrapped(given)
        if any(candidate in network for network in self.allowed for candidate in (given, target)):
            return True
        return _is_public(target)


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _INTERNAL_4)
    return address in _GLOBAL_6 and not any(address in network for network in _INTERNAL_6)
