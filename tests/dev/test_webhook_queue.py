"""The webhook queue of the local stack."""

from pathlib import Path

import boto3
import pytest

from dev.aws import session_of
from dev.emulator import Emulator
from dev.template import REGION
from dev.webhook_queue import omit_groups
from shared.adapters.aws.errors import AwsError
from shared.adapters.aws.services import Sqs
from shared.adapters.delivery_queue import SqsDeliveries
from shared.adapters.dynamodb.client import PATIENCE
from shared.application.webhooks import Delivery
from shared.domain.ids import AccountId

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(60)]


class TestGroups:
    """The emulator refuses groups of messages on a standard queue, which SQS takes since 2025."""

    def test_deliveries_are_queued_without_their_group(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Sqs, "send_message_batch", Sqs.send_message_batch)  # put back at the end
        emulator = Emulator(tmp_path, url="http://127.0.0.1:9", runner="none", dead_letters="none")
        try:
            url = emulator.client("sqs").create_queue(QueueName="webhooks")["QueueUrl"]
            deliveries = self.deliveries(emulator, url)
            put = [Delivery(account_id=AccountId("acme"), message={"id": "1"})]

            # Once this fails, the emulator takes groups, and nothing needs to be left out.
            with pytest.raises(AwsError, match="MessageGroupId"):
                deliveries.put(put)
            omit_groups()
            assert deliveries.put(put) == {}
        finally:
            emulator.stop()

    @staticmethod
    def deliveries(emulator: Emulator, url: str) -> SqsDeliveries:
        session = boto3.Session("local", "local", region_name=REGION)
        sqs = Sqs(session_of(session).client("sqs", patience=PATIENCE, url=emulator.endpoint))
        return SqsDeliveries(client=lambda: sqs, url=url, report=lambda error: pytest.fail(str(error)))
