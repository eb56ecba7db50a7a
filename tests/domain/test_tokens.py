"""The callers that claims of tokens name. Source: docs/design.md section 9; docs/decisions/0053."""

import string
from collections.abc import Mapping

import pytest

from shared.domain.access import Role
from shared.domain.ids import AccountId
from shared.domain.tokens import TokenCaller, TokenRefused, TokenRules, caller_of

CLAIMS = {"sub": "u-1", "account": "acme", "role": "operator"}
STANDARD = TokenRules()
PREFIXED = TokenRules(role_claim="cognito:groups", role_prefix="ritornello-")


def refusal(claims: Mapping[str, object], rules: TokenRules = STANDARD) -> str:
    """Return why claims are refused."""
    refused = caller_of(claims, rules)
    assert isinstance(refused, TokenRefused)
    return refused.why


def role_of(claim: object, rules: TokenRules) -> Role | None:
    """Return the role that the role claim names, or None if the token is refused."""
    caller = caller_of({**CLAIMS, rules.role_claim: claim}, rules)
    return caller.role if isinstance(caller, TokenCaller) else None


class TestCallers:
    """A token names a caller by its subject, an account, and a role, in the claims that the deployment chose."""

    def test_the_claims_name_the_caller(self) -> None:
        assert caller_of(CLAIMS, STANDARD) == TokenCaller(
            name="token:u-1", account_id=AccountId("acme"), role=Role.OPERATOR
        )

    def test_other_claims_can_be_chosen(self) -> None:
        rules = TokenRules(account_claim="custom:tenant", role_claim="https://acme.example/role")
        claims = {
            "sub": "auth0|1",
            "custom:tenant": "t-1",
            "https://acme.example/role": "admin",
            "account": "other",
            "role": "viewer",
        }

        assert caller_of(claims, rules) == TokenCaller(
            name="token:auth0|1", account_id=AccountId("t-1"), role=Role.ADMIN
        )

    @pytest.mark.parametrize("subject", ["u", "u" * 255, "auth0|5f7c8ec7", "a!b~c", "2f9@clients"])
    def test_a_subject_is_up_to_255_visible_characters(self, subject: str) -> None:
        caller = caller_of({**CLAIMS, "sub": subject}, STANDARD)

        assert isinstance(caller, TokenCaller)
        assert caller.name == f"token:{subject}"

    @pytest.mark.parametrize("subject", [None, "", " ", "a b", "u" * 256, "é", "a\nb", "a\0", 7, ["u-1"]])
    def test_no_other_subject_is_taken(self, subject: object) -> None:
        why = refusal({**CLAIMS, "sub": subject})

        assert why == "the token needs a claim 'sub' of 1 to 255 ASCII characters without spaces"

    def test_a_caller_is_never_named_like_a_key_or_the_engine(self) -> None:
        """Ids of keys are random and URL-safe."""
        caller = caller_of({**CLAIMS, "sub": "engine"}, STANDARD)

        assert isinstance(caller, TokenCaller)
        assert ":" in caller.name
        assert ":" not in string.ascii_letters + string.digits + "-_"


class TestAccounts:
    """The account is one text that is stored as a part of keys."""

    @pytest.mark.parametrize(
        "account", ["a", "a" * 100, "org_12", "9c5e-4f", "/acme/eu", "a@b.example", "x:y|z"]
    )
    def test_an_account_is_up_to_100_letters_digits_and_marks(self, account: str) -> None:
        caller = caller_of({**CLAIMS, "account": account}, STANDARD)

        assert isinstance(caller, TokenCaller)
        assert caller.account_id == account

    @pytest.mark.parametrize(
        "account",
        [None, "", "a" * 101, "a b", "acme#ACTIVE", "[acme]", "[acme other]", "a,b", "é", "a\n", 7, ["acme"]],
    )
    def test_no_other_account_is_taken(self, account: object) -> None:
        why = refusal({**CLAIMS, "account": account})

        assert why == (
            "the token needs a claim 'account' with one account id: 1 to 100 letters, digits and . _ : @ / | -"
        )

    def test_a_missing_claim_is_named_as_it_was_chosen(self) -> None:
        assert "'custom:account'" in refusal(CLAIMS, TokenRules(account_claim="custom:account"))


class TestRoles:
    """The highest role counts. API Gateway gives an array as text, with brackets, and spaces between its values."""

    @pytest.mark.parametrize(
        ("claim", "role"),
        [
            ("admin", Role.ADMIN),
            ("operator", Role.OPERATOR),
            ("viewer", Role.VIEWER),
            ("[viewer]", Role.VIEWER),
            (" viewer ", Role.VIEWER),
            ("", None),
            ("[]", None),
            ("Admin", None),
            ("administrator", None),
            ("[admin", None),
            ("admin]", None),
            ("admin,", None),
            ("viewer,admin", None),
            ("ritornello-admin", None),
            (None, None),
            (["admin"], None),
            (True, None),
        ],
    )
    def test_without_a_prefix_the_claim_is_one_role(self, claim: object, role: Role | None) -> None:
        assert role_of(claim, STANDARD) is role

    @pytest.mark.parametrize("claim", ["[billing admin]", "billing admin", "[viewer admin]", "viewer, admin"])
    def test_without_a_prefix_several_values_are_refused(self, claim: str) -> None:
        """The group "billing admin" must not make an administrator, and looks like two groups."""
        assert refusal({**CLAIMS, "role": claim}) == (
            "the claim 'role' of the token has several values or spaces, "
            "which needs a prefix of roles (JwtRolePrefix)"
        )

    @pytest.mark.parametrize(
        ("claim", "role"),
        [
            ("ritornello-admin", Role.ADMIN),
            ("[ritornello-viewer]", Role.VIEWER),
            ("[staff ritornello-viewer ritornello-operator]", Role.OPERATOR),
            ("[ritornello-admin ritornello-viewer]", Role.ADMIN),
            ("[ritornello-viewer ritornello-admin]", Role.ADMIN),
            ("staff ritornello-viewer", Role.VIEWER),
            ("staff,ritornello-viewer", None),
            ("[staff,ritornello-admin]", None),
            ("[ritornello-admin", None),
            ("ritornello-admin]", None),
            ("openid ritornello-viewer", Role.VIEWER),
            ("[billing admin]", None),
            ("[ritornello-administrator x-ritornello-admin]", None),
            ("ritornello-", None),
            ("[staff]", None),
        ],
    )
    def test_with_a_prefix_the_highest_role_counts(self, claim: str, role: Role | None) -> None:
        assert role_of(claim, PREFIXED) is role

    def test_a_refusal_for_a_missing_role_lists_the_roles(self) -> None:
        assert refusal({**CLAIMS, "role": "boss"}) == (
            "the token needs a claim 'role' with one of admin, operator, viewer"
        )
        assert refusal({**CLAIMS, "cognito:groups": "[staff]"}, PREFIXED) == (
            "the token needs a claim 'cognito:groups' with one of "
            "ritornello-admin, ritornello-operator, ritornello-viewer"
        )

    @pytest.mark.parametrize("broken", ["sub", "account", "role"])
    def test_a_refusal_quotes_nothing_of_the_token(self, broken: str) -> None:
        assert "s3cret" not in refusal({**CLAIMS, broken: "s3cret value"})
