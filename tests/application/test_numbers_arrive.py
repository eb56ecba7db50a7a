"""Numbers and texts arrive at services as they were sent, and come back as they were."""

from typing import Any

import pytest

from shared.domain.steps.call import Answered
from shared.domain.strategy.model import Json
from tests.application.lives import Life, base

BIG = 7615917337495251231


def settings(**action: Any) -> dict[str, Any]:
    """Return settings with one call of ``POST /v1/:id``."""
    found = base()
    found["services"][0]["methods"][0]["url"] = "/v1/:id"
    found["actions"][0].update({"attributes": {"id": "{{attributes.id}}"}, **action})
    return found


class TestWholeNumbers:
    """ "attributes {"id":7615917337495251231} with url /v1/:id arrives as /v1/7615917337495251231"."""

    @pytest.mark.parametrize("number", [BIG, -BIG, 2**53 + 1, 1234567, 12345678, 10**30])
    def test_a_number_arrives_in_path_body_query_and_headers(self, number: int) -> None:
        life = Life(
            settings(
                data={"id": "{{attributes.id}}", "same": "${attributes.id}", "text": "no. {{attributes.id}}"},
                params={"id": "{{attributes.id}}", "ref": "${'c-' + string(attributes.id)}"},
                headers={"X-Id": "${string(attributes.id)}"},
            ),
            attributes={"id": number},
        )
        request = life.requests[0]

        assert life.paths == [f"/v1/{number}"]
        assert request.body == {"id": number, "same": number, "text": f"no. {number}"}
        assert dict(request.params) == {"id": str(number), "ref": f"c-{number}"}
        assert request.headers["X-Id"] == str(number)

    def test_a_number_of_an_answer_arrives_in_attributes_and_outputs(self) -> None:
        document = settings()
        document["tasks"][0]["outputs"] = {"id": "{{stack.charge.response.id}}", "ref": "${attributes.ref}"}
        document["tasks"][0]["steps"][0]["controllerCallback"] = '{"attributes": {"ref": response.id}}'
        life = Life(document, Answered(status=200, body={"id": BIG}), attributes={"id": 1})

        assert life.instance.attributes["ref"] == BIG
        assert life.instance.outputs == {"id": BIG, "ref": BIG}

    @pytest.mark.parametrize(
        ("value", "text"),
        [(2.5, "2.5"), (1e-7, "0.0000001"), (1e21, "1000000000000000000000"), (5.0, "5"), (True, "true")],
    )
    def test_no_text_has_an_exponent(self, value: Json, text: str) -> None:
        life = Life(settings(params={"n": "{{attributes.id}}"}), attributes={"id": value})

        assert life.paths == [f"/v1/{text}"]
        assert life.requests[0].params == {"n": text}


class TestDates:
    """A local date has its own offset, and a date alone is a date."""

    def test_a_local_date_is_not_labelled_as_utc(self) -> None:
        template = "${formatDate(timestamp('2026-12-31'), 'YYYY-MM-DDTHH:mm:ssZ', 'Europe/Madrid')}"
        life = Life(settings(data={"at": template}), attributes={"id": 1})

        assert life.requests[0].body == {"at": "2026-12-31T01:00:00+01:00"}

    def test_a_date_alone_dates_an_added_event(self) -> None:
        document = settings()
        document["config"] = {"timezone": "Asia/Manila"}
        document["tasks"][0]["steps"][0]["controllerCallback"] = (
            '{"createEvents": [{"task": "refund", "date": "2026-03-15"}]}'
        )
        life = Life(document, attributes={"id": 1})

        assert "refund PENDING 03-14 16:00" in life.plan
