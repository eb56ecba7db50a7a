from ipaddress import ip_network

import pytest

from shared.adapters.http.addresses import AddressGuard


class TestPublicAddresses:
    """A call may go to any address of the public internet."""

    @pytest.mark.parametrize(
        "address",
        [
            "1.1.1.1",
            "93.184.216.34",
            "172.32.0.1",
            "100.63.255.255",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
        ],
    )
    def test_a_public_address_is_permitted(self, address: str) -> None:
        assert AddressGuard().permits(address)


class TestInternalAddresses:
    """A call may go to no other address, however it is written."""

    @pytest.mark.parametrize(
        "address",
        [
            "0.0.0.0",  # noqa: S104 - nothing is bound to it
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.170",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1.1.1.1",
            "100::1",
            "2001::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:101:101::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fe80::1%1",
            "fec0::1",
            "ff02::1",
        ],
    )
    def test_an_internal_address_is_refused(self, address: str) -> None:
        assert not AddressGuard().permits(address)


class TestAllowedNetworks:
    """Networks that the deployer allows are permitted in addition, even inside an IPv6 address."""

    @pytest.mark.parametrize(
        "address", ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "fd00::1", "1.1.1.1"]
    )
    def test_an_address_of_an_allowed_network_is_permitted(self, address: str) -> None:
        assert AddressGuard((ip_network("10.1.0.0/16"), ip_network("fd00::/8"))).permits(address)

    @pytest.mark.parametrize("address", ["10.2.0.1", "127.0.0.1", "::ffff:10.2.0.1", "fc00::1"])
    def test_other_internal_addresses_stay_refused(self, address: str) -> None:
        assert not AddressGuard((ip_network("10.1.0.0/16"), ip_network("fd00::/8"))).permits(address)

    def test_a_nat64_network_can_be_allowed(self) -> None:
        assert AddressGuard((ip_network("64:ff9b::/96"),)).permits("64:ff9b::10.0.0.1")
