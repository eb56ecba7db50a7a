"""The webhook queue of the local stack."""

from pathlib import Path

import boto3
import pytest
from botocore import handlers
from botocore.exceptions import ClientError

from dev.emulator import Emulator
from dev.template import REGION
from dev.webhook_queue import omit_groups
from shared.adapters.delivery_queue import SqsDeliveries
from shared.application.webhooks import Delivery
from shared.domain.ids import AccountId

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(60)]


class TestGroups:
    """The emulator refuses groups of messages on a standard queue, which SQS takes since 2025."""

    def test_deliveries_are_queued_without_their_group(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(handlers, "BUILTIN_HANDLERS", [*handlers.BUILTIN_HANDLERS])
        emulator = Emulator(tmp_path, url="http://127.0.0.1:9", runner="none", dead_letters="none")
        try:
            url = emulator.client("sqs").create_queue(QueueName="webhooks")["QueueUrl"]
            before = self.deliveries(emulator, url)
            omit_groups()
            after = self.deliveries(emulator, url)
            put = [Delivery(account_id=AccountId("acme"), message={"id": "1"})]

            # Once this fails, the emulator takes groups, and nothing needs to be left out.
            with pytest.raises(ClientError, match="MessageGroupId"):
                before.put(put)
            assert after.put(put) == {}
        finally:
            emulator.stop()

    @staticmethod
    def deliveries(emulator: Emulator, url: str) -> SqsDeliveries:
        client = boto3.Session().client(
            "sqs",
            endpoint_url=emulator.endpoint,
            region_name=REGION,
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )
        return SqsDeliveries(client=lambda: client, url=url, report=lambda error: pytest.fail(str(error)))
