"""Which requests the local servers answer."""

import pytest

from dev.local_guard import LocalGuard

GUARD = LocalGuard(port=8080)
HERE = {"host": "127.0.0.1:8080"}


class TestHost:
    """``Host`` is the loopback interface with the server's own port."""

    @pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "[::1]:8080", "LocalHost:8080"])
    def test_the_loopback_interface_is_served(self, host: str) -> None:
        assert GUARD.refusal("GET", {"host": host}) is None

    @pytest.mark.parametrize(
        "host",
        [
            "127.0.0.1",
            "127.0.0.1:80",
            "127.0.0.1:8081",
            "127.0.0.1:80800",
            "127.0.0.2:8080",
            "localhost.evil.example:8080",
            "evil.example:8080",
            "127.0.0.1:8080.evil.example",
            "evil.example@127.0.0.1:8080",
            "localhost.:8080",
            "::1:8080",
            "127.0.0.1:8080,evil.example",
            " 127.0.0.1:8080",
            "",
        ],
    )
    def test_its_neighbours_are_refused(self, host: str) -> None:
        assert GUARD.refusal("GET", {"host": host}) == (
            f"Host {host!r} is not this server: it must be 127.0.0.1:8080 or localhost:8080 or [::1]:8080"
        )

    def test_a_request_without_host_is_refused(self) -> None:
        refusal = GUARD.refusal("GET", {})
        assert refusal is not None
        assert refusal.startswith("the header Host is missing: it must be 127.0.0.1:8080 or ")

    def test_port_80_may_be_left_out_at_port_80_alone(self) -> None:
        assert LocalGuard(port=80).refusal("GET", {"host": "localhost"}) is None
        assert LocalGuard(port=80).refusal("GET", {"host": "localhost:80"}) is None
        assert LocalGuard(port=8080).refusal("GET", {"host": "localhost"}) is not None

    def test_a_named_host_is_served_with_its_port(self) -> None:
        guard = LocalGuard(port=8080, names=("host.docker.internal",))

        assert guard.refusal("POST", {"host": "host.docker.internal:8080"}) is None
        assert guard.refusal("POST", {"host": "docker.internal:8080"}) is not None
        assert GUARD.refusal("POST", {"host": "host.docker.internal:8080"}) is not None

    def test_a_long_host_is_cut(self) -> None:
        refusal = GUARD.refusal("GET", {"host": "x" * 5000})
        assert refusal is not None
        assert len(refusal) < 250


class TestOrigin:
    """``Origin`` is absent, or the server that ``Host`` names."""

    def test_the_servers_own_pages_may_call_it(self) -> None:
        assert GUARD.refusal("POST", {**HERE, "origin": "http://127.0.0.1:8080"}) is None

    @pytest.mark.parametrize(
        "origin",
        [
            "http://localhost:8080",
            "https://127.0.0.1:8080",
            "http://127.0.0.1:8081",
            "http://127.0.0.1",
            "http://127.0.0.1:8080.evil.example",
            "http://evil.example",
            "null",
            "",
        ],
    )
    def test_its_neighbours_are_refused(self, origin: str) -> None:
        assert GUARD.refusal("POST", {**HERE, "origin": origin}) == (
            f"Origin {origin!r} may not call this server: other sites are refused"
        )


class TestFetchMetadata:
    """Images and scripts of other pages send no ``Origin``; the browser says so in ``Sec-Fetch-Site``."""

    @pytest.mark.parametrize("site", ["none", "same-origin"])
    def test_the_address_bar_and_own_pages_are_served(self, site: str) -> None:
        assert GUARD.refusal("GET", {**HERE, "sec-fetch-site": site}) is None

    @pytest.mark.parametrize("site", ["cross-site", "same-site", "Same-Origin", ""])
    def test_other_sites_are_refused(self, site: str) -> None:
        assert GUARD.refusal("GET", {**HERE, "sec-fetch-site": site, "sec-fetch-mode": "no-cors"}) == (
            f"Sec-Fetch-Site {site!r} may not call this server: other sites are refused"
        )

    def test_a_link_to_the_reference_works(self) -> None:
        link = {
            **HERE,
            "sec-fetch-site": "cross-site",
            "sec-fetch-mode": "navigate",
            "sec-fetch-dest": "document",
        }

        assert GUARD.refusal("GET", link) is None
        assert GUARD.refusal("POST", link) is not None

    @pytest.mark.parametrize("frame", ["iframe", "frame", "embed", "object"])
    def test_a_frame_in_a_page_is_no_link(self, frame: str) -> None:
        framed = {
            **HERE,
            "sec-fetch-site": "cross-site",
            "sec-fetch-mode": "navigate",
            "sec-fetch-dest": frame,
        }

        assert GUARD.refusal("GET", framed) is not None
