import pytest

from shared.domain.limits.origin import origin_of


class TestOrigins:
    """An origin is scheme, host and port. Its spelling does not matter."""

    @pytest.mark.parametrize(
        ("url", "origin"),
        [
            ("https://api.example.com", "https://api.example.com"),
            ("https://api.example.com/v1/", "https://api.example.com"),
            ("https://API.Example.com/V1", "https://api.example.com"),
            ("HTTPS://api.example.com", "https://api.example.com"),
            ("https://api.example.com:443/v1", "https://api.example.com"),
            ("http://api.example.com:80", "http://api.example.com"),
            ("http://api.example.com", "http://api.example.com"),
            ("https://api.example.com:8443/v1", "https://api.example.com:8443"),
            ("http://api.example.com:443", "http://api.example.com:443"),
            ("https://[2001:DB8::1]/v1", "https://[2001:db8::1]"),
            ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        ],
    )
    def test_a_url_has_an_origin(self, url: str, origin: str) -> None:
        assert origin_of(url) == origin
