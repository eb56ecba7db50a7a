"""The caller that a verified token of an identity provider names.

Source: docs/design.md section 9; docs/decisions/0053.
"""

import re
from collections.abc import Mapping

from msgspec import Struct

from shared.domain.access import Role
from shared.domain.ids import AccountId

_ACCOUNT = re.compile(r"[A-Za-z0-9._:@/|-]{1,100}")
# OpenID Connect allows a subject of at most 255 ASCII characters.
_SUBJECT = re.compile(r"[!-~]{1,255}")
_ARRAY = re.compile(r"\[(.*)\]")


class TokenRules(Struct, frozen=True, kw_only=True):
    """Which claims of a token name the account and the role.

    The role claim has one value or several, and the values of roles are ``role_prefix`` followed by the role's name.
    Without a prefix, it must have exactly one value.
    """

    account_claim: str = "account"
    role_claim: str = "role"
    role_prefix: str = ""


class TokenCaller(Struct, frozen=True, kw_only=True):
    """The caller of a token. ``name`` is ``token:`` and the subject; no access key has a colon in its id."""

    name: str
    account_id: AccountId
    role: Role


class TokenRefused(Struct, frozen=True):
    """The reason why a token names no caller. It quotes the deployment's rules, and nothing of the token."""

    why: str


def caller_of(claims: Mapping[str, object], rules: TokenRules) -> TokenCaller | TokenRefused:
    """Return the caller that the claims of a verified token name, or why they name none.

    The role is the highest one among the values of the role claim.
    """
    subject, account = claims.get("sub"), claims.get(rules.account_claim)
    if not isinstance(subject, str) or _SUBJECT.fullmatch(subject) is None:
        return TokenRefused("the token needs a claim 'sub' of 1 to 255 ASCII characters without spaces")
    if not isinstance(account, str) or _ACCOUNT.fullmatch(account) is None:
        # A number sign separates the parts of stored keys, and brackets are around the values of an array.
        return TokenRefused(
            f"the token needs a claim {rules.account_claim!r} with one account id: "
            "1 to 100 letters, digits and . _ : @ / | -"
        )
    role = _role_in(claims.get(rules.role_claim), rules)
    if isinstance(role, TokenRefused):
        return role
    return TokenCaller(name=f"token:{subject}", account_id=AccountId(account), role=role)


def _role_in(claim: object, rules: TokenRules) -> Role | TokenRefused:
    # API Gateway gives each claim as text: an array as "[a b c]", which may be values with spaces in them.
    text = claim if isinstance(claim, str) else ""
    array = _ARRAY.fullmatch(text)
    values = (array[1] if array else text).split()
    if not rules.role_prefix and len(values) > 1:
        # The group "billing admin" must not make an administrator.
        return TokenRefused(
            f"the claim {rules.role_claim!r} of the token has several values or spaces, "
            "which needs a prefix of roles (JwtRolePrefix)"
        )
    named = {f"{rules.role_prefix}{role.value}": role for role in Role}
    roles = [role for name, role in named.items() if name in values]
    if not roles:
        return TokenRefused(f"the token needs a claim {rules.role_claim!r} with one of {', '.join(named)}")
    # Role lists the highest one first.
    return roles[0]
