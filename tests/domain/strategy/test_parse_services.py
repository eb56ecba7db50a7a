"""Parsing services, their methods and authorizations, and the actions that call them."""

from datetime import timedelta
from typing import Any

import pytest

from shared.domain.errors import Problem
from shared.domain.ids import AccountId, StrategySid
from shared.domain.steps.outcome import longest
from shared.domain.strategy.model import Circuit, ServiceLimit, Strategy
from shared.domain.strategy.parse import read_definition
from tests.domain.strategy.definitions import (
    CONTROLLERS,
    REMOVED,
    broken_rules,
    changed,
    full,
    minimal,
    problems,
)

BASE_URL = "/services/0/baseUrls/0/url"
TOKEN_URL = "/services/0/authorization/0/url"
PATH = "/services/0/methods/0/url"


class TestEnvironment:
    """A service needs a base URL for the deployment's environment, but no authorization."""

    def test_a_missing_base_url_is_reported(self) -> None:
        assert problems(minimal(), environment="prod") == [
            Problem(
                pointer="/services/0/baseUrls",
                rule="environment",
                message="has no URL for the environment 'prod'",
            )
        ]

    def test_a_missing_authorization_is_allowed(self) -> None:
        settings = changed("/services/0/authorization/0/environment", "prod", of=full())
        assert problems(settings) == []


class TestLimits:
    """A limit is an object with whole numbers of calls a second and in flight, and a circuit. It may be empty."""

    @pytest.mark.parametrize(
        ("limit", "per_second"),
        [({"perSecond": 1}, 1), ({"perSecond": 200.0}, 200), ({"perSecond": 500}, 500), ({}, None)],
    )
    def test_a_limit_is_read(self, limit: Any, per_second: int | None) -> None:
        settings = changed("/services/0/limit", limit)
        service = read_definition(settings, environment="dev").services["billing"]
        assert service.limit == ServiceLimit(per_second=per_second)

    @pytest.mark.parametrize("concurrent", [1, 5, 100])
    def test_calls_in_flight_are_read(self, concurrent: int) -> None:
        settings = changed("/services/0/limit", {"concurrent": concurrent, "perSecond": 9})
        limit = read_definition(settings, environment="dev").services["billing"].limit
        assert limit == ServiceLimit(per_second=9, concurrent=concurrent)

    @pytest.mark.parametrize(
        ("circuit", "failures", "seconds"),
        [
            ({}, 5, 30),
            ({"failures": 1}, 1, 30),
            ({"openSeconds": 900}, 5, 900),
            ({"failures": 100, "openSeconds": 1}, 100, 1),
        ],
    )
    def test_a_circuit_is_read(self, circuit: Any, failures: int, seconds: int) -> None:
        settings = changed("/services/0/limit", {"circuit": circuit})
        limit = read_definition(settings, environment="dev").services["billing"].limit
        assert limit == ServiceLimit(circuit=Circuit(failures=failures, open_for=timedelta(seconds=seconds)))

    @pytest.mark.parametrize("limit", [{}, {"perSecond": 5}, {"circuit": None}])
    def test_a_limit_without_a_circuit_has_none(self, limit: Any) -> None:
        settings = changed("/services/0/limit", limit)
        found = read_definition(settings, environment="dev").services["billing"].limit
        assert found is not None
        assert found.circuit is None

    @pytest.mark.parametrize("limit", [None, REMOVED])
    def test_a_service_without_one_has_none(self, limit: Any) -> None:
        settings = changed("/services/0/limit", limit, of=full())
        definition = read_definition(settings, environment="dev", controllers=CONTROLLERS)
        assert definition.services["billing"].limit is None

    @pytest.mark.parametrize(
        ("limit", "below", "rule", "message"),
        [
            ({"perSecond": 0}, "/perSecond", "range", "must be between 1 and 500"),
            ({"perSecond": -1}, "/perSecond", "range", "must be between 1 and 500"),
            ({"perSecond": 501}, "/perSecond", "range", "must be between 1 and 500"),
            ({"perSecond": 10**30}, "/perSecond", "range", "must be between 1 and 500"),
            ({"perSecond": 0.5}, "/perSecond", "type", "must be a whole number"),
            ({"perSecond": 200.5}, "/perSecond", "type", "must be a whole number"),
            ({"perSecond": "200"}, "/perSecond", "type", "must be a whole number"),
            ({"perSecond": True}, "/perSecond", "type", "must be a whole number"),
            ({"perSecond": [200]}, "/perSecond", "type", "must be a whole number"),
            ({"perSecond": {}}, "/perSecond", "type", "must be a whole number"),
            ({"perMinute": 9}, "/perMinute", "unknown-field", "is not a known field"),
            ({"concurrent": 0}, "/concurrent", "range", "must be between 1 and 100"),
            ({"concurrent": 101}, "/concurrent", "range", "must be between 1 and 100"),
            ({"concurrent": 1.5}, "/concurrent", "type", "must be a whole number"),
            ({"concurrent": "5"}, "/concurrent", "type", "must be a whole number"),
            ({"concurrency": 9}, "/concurrency", "unknown-field", "is not a known field"),
            ({"circuit": 5}, "/circuit", "type", "must be an object"),
            ({"circuit": {"failures": 0}}, "/circuit/failures", "range", "must be between 1 and 100"),
            ({"circuit": {"failures": 101}}, "/circuit/failures", "range", "must be between 1 and 100"),
            ({"circuit": {"failures": "5"}}, "/circuit/failures", "type", "must be a whole number"),
            ({"circuit": {"openSeconds": 0}}, "/circuit/openSeconds", "range", "must be between 1 and 900"),
            ({"circuit": {"openSeconds": 901}}, "/circuit/openSeconds", "range", "must be between 1 and 900"),
            ({"circuit": {"openSeconds": 1.5}}, "/circuit/openSeconds", "type", "must be a whole number"),
            ({"circuit": {"after": 5}}, "/circuit/after", "unknown-field", "is not a known field"),
            ({"per_second": 9}, "/per_second", "unknown-field", "is not a known field"),
            (200, "", "type", "must be an object"),
            ("200", "", "type", "must be an object"),
            ([{"perSecond": 200}], "", "type", "must be an object"),
            (True, "", "type", "must be an object"),
        ],
    )
    def test_any_other_limit_is_reported(self, limit: Any, below: str, rule: str, message: str) -> None:
        reported = problems(changed("/services/0/limit", limit))
        assert reported == [Problem(pointer=f"/services/0/limit{below}", rule=rule, message=message)]


class TestUrls:
    """URLs are absolute http or https URLs with a host and without secrets."""

    @pytest.mark.parametrize(
        "url",
        [
            "https://api.example.test",
            "http://127.0.0.1:4020/v1/",
            "http://[::1]:8080",
            "https://a-b.example.test/x%20y/~z",
        ],
    )
    def test_valid_urls_are_accepted(self, url: str) -> None:
        assert problems(changed(BASE_URL, url)) == []

    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("ftp://example.test", "must start with http:// or https://"),
            ("api.example.test", "must start with http:// or https://"),
            ("HTTPS://example.test", "must start with http:// or https://"),
            ("https://exa mple.test", "must contain only URL characters; encode any other as %XX"),
            ("https://example.test/ñ", "must contain only URL characters; encode any other as %XX"),
            ("https://example.test/{{env}}", "must contain only URL characters; encode any other as %XX"),
            ("https://example.test\n", "must contain only URL characters; encode any other as %XX"),
            ("https://", "must name a host"),
            ("https:///path", "must name a host"),
            ("https://:443/path", "must name a host"),
            ("https://example.test:0", "must name a host"),
            ("https://[::1", "is not a URL: Invalid IPv6 URL"),
            ("https://example.test:65536", "is not a URL: Port out of range 0-65535"),
            ("https://me:secret@example.test", "must not contain a user name or password"),
            ("https://@example.test", "must not contain a user name or password"),
            ("https://example.test/#top", "must not contain a fragment"),
            ("https://example.test/#", "must not contain a fragment"),
        ],
    )
    @pytest.mark.parametrize("pointer", [BASE_URL, TOKEN_URL])
    def test_invalid_urls_are_refused(self, pointer: str, url: str, message: str) -> None:
        assert problems(changed(pointer, url, of=full())) == [
            Problem(pointer=pointer, rule="url", message=message)
        ]

    @pytest.mark.parametrize("url", ["https://example.test/?", "https://example.test/a?b=c"])
    def test_only_a_token_url_may_have_a_query(self, url: str) -> None:
        settings = changed("/services/0/authorization/0/attributes", REMOVED, of=full())
        assert problems(changed(TOKEN_URL, url, of=settings)) == []
        assert problems(changed(BASE_URL, url, of=full())) == [
            Problem(pointer=BASE_URL, rule="url", message="must not contain a query")
        ]

    def test_a_url_has_at_most_1000_characters(self) -> None:
        host = "https://example.test/"
        assert problems(changed(BASE_URL, host + "x" * (1000 - len(host)))) == []
        assert broken_rules(changed(BASE_URL, host + "x" * (1001 - len(host)))) == [(BASE_URL, "too-long")]
        assert broken_rules(changed(BASE_URL, "")) == [(BASE_URL, "empty")]


class TestPaths:
    """The URL of a method is a path below the base URL; its :name parts are whole segments."""

    @pytest.mark.parametrize("url", ["/", "/charges", "/v1/charges?expand=all", "/items:batch", "/a//b/"])
    def test_valid_paths_are_accepted(self, url: str) -> None:
        assert problems(changed(PATH, url)) == []

    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("charges", "must start with /"),
            ("https://example.test/charges", "must start with /"),
            (":memberId", "must start with /"),
            ("/a b", "must contain only URL path characters; encode any other as %XX"),
            ("/{{attributes.id}}", "must contain only URL path characters; encode any other as %XX"),
            ("/charges#top", "must contain only URL path characters; encode any other as %XX"),
            ("/:", "a :name part must be a whole segment of letters, digits, _ and -"),
            ("/members/:id.json", "a :name part must be a whole segment of letters, digits, _ and -"),
        ],
    )
    def test_invalid_paths_are_refused(self, url: str, message: str) -> None:
        assert problems(changed(PATH, url)) == [Problem(pointer=PATH, rule="url", message=message)]

    def test_an_empty_path_is_refused(self) -> None:
        assert broken_rules(changed(PATH, "")) == [(PATH, "empty")]


class TestParts:
    """The attributes of an action fill every :name part of its method's URL, and nothing else."""

    def url(self, attributes: object) -> dict[str, Any]:
        return changed(
            "/actions/0/attributes", attributes, of=changed(PATH, "/members/:memberId/cards/:card-1")
        )

    def test_attributes_that_fill_every_part_are_accepted(self) -> None:
        assert problems(self.url({"memberId": "{{attributes.id}}", "card-1": "7", "more": None})) == []

    @pytest.mark.parametrize("path", ["/members/:memberId?expand=all", "/:memberId", "/a/:memberId/"])
    def test_a_part_may_be_anywhere_in_the_path(self, path: str) -> None:
        assert problems(changed("/actions/0/attributes", {"memberId": "7"}, of=changed(PATH, path))) == []

    @pytest.mark.parametrize("name", ["more", "memberid", "card", "a/b"])
    def test_an_attribute_that_fills_no_part_is_reported(self, name: str) -> None:
        pointer = f"/actions/0/attributes/{name.replace('/', '~1')}"
        assert problems(self.url({"memberId": "x", "card-1": "7", name: "x"})) == [
            Problem(
                pointer=pointer,
                rule="unused",
                message="fills no part of the URL '/members/:memberId/cards/:card-1'; use params for the query, "
                "data for the body",
            )
        ]

    @pytest.mark.parametrize(
        ("path", "literal"),
        [
            ("/echo?id=:a&id=:b", ":a"),
            ("/orders(':id')", ":id"),
            ("/orders(id=:id)", ":id"),
            ("/a?b=1,:c", ":c"),
            ("/search?q=:term", ":term"),
            ("/x;p=:q", ":q"),
        ],
    )
    def test_a_placeholder_that_would_be_sent_literally_is_refused(self, path: str, literal: str) -> None:
        assert problems(changed(PATH, path)) == [
            Problem(
                pointer=PATH,
                rule="url",
                message=f"{literal} would be sent as it is: only a whole segment of the path is filled; "
                "use params for the query",
            )
        ]

    @pytest.mark.parametrize(
        "path", ["/items:batch", "/v1/urn:isbn:123", "/at?time=10:30", "/a?u=urn:x:y", "/a%20:b", "/a-:b"]
    )
    def test_a_colon_after_a_name_is_literal(self, path: str) -> None:
        assert problems(changed(PATH, path)) == []

    @pytest.mark.parametrize("url", ["https://example.test/:tenant", "https://example.test/a/:b/"])
    def test_a_base_url_has_no_parts(self, url: str) -> None:
        assert problems(changed(BASE_URL, url)) == [
            Problem(
                pointer=BASE_URL,
                rule="url",
                message="must not have :name parts: only those in a method's url are filled",
            )
        ]

    def test_a_token_url_has_no_literal_placeholder(self) -> None:
        settings = changed("/services/0/authorization/0/attributes", REMOVED, of=full())
        assert broken_rules(changed(TOKEN_URL, "https://example.test/token?id=:id", of=settings)) == [
            (TOKEN_URL, "url")
        ]

    @pytest.mark.parametrize("attributes", [None, {}, {"memberId": None}])
    def test_every_part_without_an_attribute_is_reported(self, attributes: object) -> None:
        url = "in the URL '/members/:memberId/cards/:card-1'"
        assert problems(self.url(attributes)) == [
            Problem(
                pointer="/actions/0/attributes",
                rule="required",
                message=f"must have 'memberId', which fills :memberId {url}",
            ),
            Problem(
                pointer="/actions/0/attributes",
                rule="required",
                message=f"must have 'card-1', which fills :card-1 {url}",
            ),
        ]

    def test_a_repeated_part_is_reported_once(self) -> None:
        assert broken_rules(changed(PATH, "/:a/:a")) == [("/actions/0/attributes", "required")]

    def test_attributes_of_a_wrong_type_are_reported_once(self) -> None:
        assert broken_rules(self.url(["memberId"])) == [("/actions/0/attributes", "type")]
        assert broken_rules(self.url({"memberId": 1, "card-1": "7"})) == [
            ("/actions/0/attributes/memberId", "type")
        ]

    def test_parts_of_a_token_url_must_be_filled_too(self) -> None:
        settings = changed("/services/0/authorization/0/attributes", REMOVED, of=full())
        assert problems(settings) == [
            Problem(
                pointer="/services/0/authorization/0/attributes",
                rule="required",
                message="must have 'tenant', which fills :tenant in the URL "
                "'https://login.example.test/:tenant/token?v=2'",
            )
        ]


class TestCredential:
    """If there is an authorization, credentialPath is the path to the token in its answer."""

    def test_an_authorization_needs_a_credential_path(self) -> None:
        settings = full()
        del settings["services"][0]["credentialPath"]
        assert broken_rules(settings) == [("/services/0/credentialPath", "required")]
        settings["services"][0]["authorization"] = []
        assert problems(settings) == []

    def test_a_credential_path_must_not_be_empty(self) -> None:
        assert broken_rules(changed("/services/0/credentialPath", "", of=full())) == [
            ("/services/0/credentialPath", "empty")
        ]


class TestReferences:
    """An action refers to an existing method of an existing service."""

    def test_an_unknown_service_is_reported(self) -> None:
        assert problems(changed("/actions/0/service", "biling")) == [
            Problem(pointer="/actions/0/service", rule="reference", message="there is no service 'biling'")
        ]

    def test_an_unknown_method_is_reported(self) -> None:
        assert problems(changed("/actions/0/method", "refund")) == [
            Problem(
                pointer="/actions/0/method",
                rule="reference",
                message="the service 'billing' has no method 'refund'",
            )
        ]

    def test_a_method_of_another_service_is_reported(self) -> None:
        settings = full()
        mailer = {**minimal()["services"][0], "key": "mailer"}
        settings["services"].append({**mailer, "methods": [{"key": "send", "url": "/", "method": "post"}]})
        settings["actions"][0]["method"] = "send"
        assert broken_rules(settings) == [("/actions/0/method", "reference")]

    @pytest.mark.parametrize("name", ["service", "method"])
    @pytest.mark.parametrize(("value", "rule"), [("", "empty"), (5, "type"), ("x" * 101, "too-long")])
    def test_values_that_are_no_key_are_reported(self, name: str, value: object, rule: str) -> None:
        assert broken_rules(changed(f"/actions/0/{name}", value)) == [(f"/actions/0/{name}", rule)]


class TestHeaders:
    """Header names are tokens of RFC 9110."""

    @pytest.mark.parametrize("place", ["/actions/0", "/services/0/authorization/0"])
    @pytest.mark.parametrize("name", ["", "X Trace", "X-Trace:", "Ünicode", "a\r\nb"])
    def test_invalid_header_names_are_refused(self, place: str, name: str) -> None:
        assert problems(changed(f"{place}/headers/{name}", "x", of=full())) == [
            Problem(
                pointer=f"{place}/headers/{name}",
                rule="header-name",
                message="a header name has only letters, digits and ! # $ % & ' * + - . ^ _ ` | ~",
            )
        ]

    def test_the_name_is_escaped_in_the_pointer(self) -> None:
        assert broken_rules(changed("/actions/0/headers", {"a/b": 1})) == [
            ("/actions/0/headers/a~1b", "header-name"),
            ("/actions/0/headers/a~1b", "type"),
        ]

    def test_valid_names_and_nulls_are_accepted(self) -> None:
        headers = {"X-Trace_1.2": "a", "!#$%&'*+-.^_`|~": "b", "not there": None}
        definition = read_definition(changed("/actions/0/headers", headers), environment="dev")
        assert definition.actions["charge-card"].headers == {"X-Trace_1.2": "a", "!#$%&'*+-.^_`|~": "b"}


class TestLongestStep:
    """ "A step must fit one Lambda; this is checked on save": the bounds of its parts guarantee it."""

    def test_the_longest_possible_step_fits_a_lambda(self) -> None:
        definition = read_definition(full(), environment="dev", controllers=CONTROLLERS)
        assert definition.request_delay == timedelta(seconds=5)
        assert definition.services["billing"].methods["charge"].timeout_seconds == 300
        strategy = Strategy(
            sid=StrategySid("s"),
            account_id=AccountId("a"),
            name="n",
            version=1,
            definition=definition,
            environment="dev",
        )
        step = definition.tasks["bill"].steps["charge"]
        assert longest(strategy, step) == timedelta(seconds=665)
        assert longest(strategy, step) <= timedelta(seconds=880)


class TestRequests:
    """Data that would be sent under a wrong name or content type are reported."""

    @pytest.mark.parametrize("place", ["/actions/0", "/services/0/authorization/0"])
    @pytest.mark.parametrize(
        ("name", "value", "below"),
        [
            ("data", {"{{attributes.a}}": 1}, "/{{attributes.a}}"),
            ("data", {"a": [0, {"b ${cycle}": None}]}, "/a/1/b ${cycle}"),
            ("params", {"x{{y": "z"}, "/x{{y"),
        ],
    )
    def test_a_template_in_a_name_is_reported(
        self, place: str, name: str, value: dict[str, Any], below: str
    ) -> None:
        assert problems(changed(f"{place}/{name}", value, of=full())) == [
            Problem(
                pointer=f"{place}/{name}{below}",
                rule="template",
                message="must not contain a template in its name: names are sent as they are",
            )
        ]

    @pytest.mark.parametrize(
        "kind", ["text/plain", "application/xml", "multipart/form-data", "application/jsonx; q=1", "json"]
    )
    def test_a_content_type_that_contradicts_the_body_is_reported(self, kind: str) -> None:
        settings = changed(
            "/actions/0/headers", {"content-Type": kind}, of=changed("/actions/0/data", {"a": 1})
        )
        assert problems(settings) == [
            Problem(
                pointer="/actions/0/headers/content-Type",
                rule="content-type",
                message="contradicts data, which is sent as JSON, or as a form under "
                "application/x-www-form-urlencoded",
            )
        ]

    @pytest.mark.parametrize(
        "kind",
        [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/vnd.api+json",
            "application/x-www-form-urlencoded",
            "{{attributes.kind}}",
        ],
    )
    def test_json_forms_and_templates_are_accepted(self, kind: str) -> None:
        settings = changed(
            "/actions/0/headers", {"Content-Type": kind}, of=changed("/actions/0/data", {"a": 1})
        )
        assert problems(settings) == []

    def test_without_a_body_any_content_type_is_accepted(self) -> None:
        assert problems(changed("/actions/0/headers", {"Content-Type": "text/plain"})) == []
