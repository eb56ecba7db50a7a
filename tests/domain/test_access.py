"""Roles and their permissions."""

import pytest

from shared.domain.access import Role


class TestRoles:
    """Each role includes the ones below it."""

    @pytest.mark.parametrize(
        ("role", "other", "may"),
        [
            (Role.ADMIN, Role.VIEWER, True),
            (Role.ADMIN, Role.ADMIN, True),
            (Role.OPERATOR, Role.VIEWER, True),
            (Role.OPERATOR, Role.ADMIN, False),
            (Role.VIEWER, Role.OPERATOR, False),
            (Role.VIEWER, Role.VIEWER, True),
        ],
    )
    def test_a_role_includes_the_ones_below_it(self, role: Role, other: Role, *, may: bool) -> None:
        assert role.includes(other) is may
