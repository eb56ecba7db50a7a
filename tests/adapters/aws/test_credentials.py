"""Where credentials and Region come from."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import MetadataRetrievalError

from shared.adapters.aws.credentials import NoCredentialsError, credential_source
from shared.adapters.aws.endpoints import NoRegionError, region_of
from shared.adapters.aws.errors import UnansweredError
from shared.adapters.aws.signing import Credentials

KEYS = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.fixture(autouse=True)
def nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Leave botocore nothing but the files of this test."""
    for name in (*KEYS, "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return tmp_path


class TestTheEnvironment:
    """Lambda sets the credentials there."""

    @pytest.mark.parametrize(
        ("more", "token"),
        [({"AWS_SESSION_TOKEN": "t"}, "t"), ({"AWS_SESSION_TOKEN": ""}, None), ({}, None)],
    )
    def test_its_credentials_are_used(self, more: dict[str, str], token: str | None) -> None:
        current = credential_source({**KEYS, **more})

        assert current() == Credentials(access_key="AKID", secret_key="secret", token=token)

    @pytest.mark.parametrize("missing", list(KEYS))
    def test_half_of_a_key_is_none(self, missing: str) -> None:
        current = credential_source({name: value for name, value in KEYS.items() if name != missing})

        with pytest.raises(NoCredentialsError, match="no AWS credentials"):
            current()


class TestOtherSources:
    """Botocore finds a profile or a role, and fetches new credentials in time."""

    def test_a_profile_is_found(self, nothing_else: Path) -> None:
        (nothing_else / "credentials").write_text(
            "[default]\naws_access_key_id = AKID\naws_secret_access_key = secret\n"
        )

        assert credential_source({})() == Credentials(access_key="AKID", secret_key="secret")

    def test_each_request_has_the_current_credentials(self, monkeypatch: pytest.MonkeyPatch) -> None:
        kept = iter("12")

        def fresh() -> Any:
            return SimpleNamespace(access_key=f"AKID{next(kept)}", secret_key="s", token="t")

        found = SimpleNamespace(get_frozen_credentials=fresh)
        monkeypatch.setattr(botocore.session.Session, "get_credentials", lambda _: found)
        current = credential_source({})

        assert [current().access_key, current().access_key] == ["AKID1", "AKID2"]

    def test_credentials_that_cannot_be_fetched_for_now_are_no_answer(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail() -> Any:
            raise MetadataRetrievalError(error_msg="the endpoint is busy")

        found = SimpleNamespace(get_frozen_credentials=fail)
        monkeypatch.setattr(botocore.session.Session, "get_credentials", lambda _: found)

        with pytest.raises(UnansweredError, match="MetadataRetrievalError"):
            credential_source({})()


class TestRegion:
    """The Region is that of the environment, else of the profile."""

    @pytest.mark.parametrize(
        ("environment", "region"),
        [
            ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-1"}, "eu-west-1"),
            ({"AWS_DEFAULT_REGION": "us-east-1"}, "us-east-1"),
            ({"AWS_REGION": "", "AWS_DEFAULT_REGION": "us-east-1"}, "us-east-1"),
        ],
    )
    def test_the_environment_names_it(self, environment: dict[str, str], region: str) -> None:
        assert region_of(environment) == region

    def test_a_profile_names_it(self, nothing_else: Path) -> None:
        (nothing_else / "config").write_text("[default]\nregion = eu-north-1\n")

        assert region_of({}) == "eu-north-1"

    def test_without_any_there_is_an_error(self) -> None:
        with pytest.raises(NoRegionError, match="AWS_REGION is not set"):
            region_of({})
