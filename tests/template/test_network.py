"""The functions in a VPC."""

from fnmatch import fnmatchcase

import pytest

from dev.template import Template
from tests.template.stack import FUNCTIONS, PARAMETERS, RESOURCES, ROOT, TEMPLATE, broken_rules


class TestNetwork:
    """Functions run in a VPC if subnets are given, and their code can't manage network interfaces."""

    def test_functions_run_in_the_subnets_that_are_given(self) -> None:
        vpc = TEMPLATE.document["Globals"]["Function"]["VpcConfig"]["Fn::If"]

        assert vpc[0] == "HasVpc"
        assert vpc[1] == {
            "SubnetIds": {"Fn::Split": [",", {"Ref": "SubnetIds"}]},
            "SecurityGroupIds": {"Fn::Split": [",", {"Ref": "SecurityGroupIds"}]},
        }
        assert vpc[2] == {"Ref": "AWS::NoValue"}

    @pytest.mark.parametrize(
        ("subnets", "groups", "broken"),
        [
            ("", "", []),
            ("subnet-1a,subnet-2b", "sg-1a", []),
            ("subnet-1a", "", ["SubnetsHaveSecurityGroups"]),
            ("", "sg-1a", ["SubnetsHaveSecurityGroups"]),
        ],
    )
    def test_subnets_and_security_groups_are_given_together(
        self, subnets: str, groups: str, broken: list[str]
    ) -> None:
        parameters = {**PARAMETERS, "SubnetIds": subnets, "SecurityGroupIds": groups}

        assert broken_rules(parameters) == broken
        assert Template(ROOT / "template.yaml", parameters).holds("HasVpc") is (bool(subnets and groups))

    def test_no_function_makes_a_log_group_that_the_stack_does_not_own(self) -> None:
        """If a function made its log group late, the group would be in the way of the next deployment."""
        _, denied, _ = RESOURCES["FunctionsPolicy"]["Properties"]["PolicyDocument"]["Statement"]

        assert (denied["Effect"], denied["Action"]) == ("Deny", "logs:CreateLogGroup")
        for name, function in FUNCTIONS.items():
            group = str(TEMPLATE.resolve(RESOURCES[f"{name}Logs"]["Properties"]["LogGroupName"]))
            arn = f"arn:aws:logs:eu-central-1:123456789012:log-group:{group}"
            assert group == f"/aws/lambda/{function.name}"
            assert fnmatchcase(arn, str(TEMPLATE.resolve(denied["Resource"])))
            assert RESOURCES[name]["Properties"]["LoggingConfig"] == {"LogGroup": {"Ref": f"{name}Logs"}}

    def test_the_code_of_functions_is_denied_what_lambda_does_for_the_network(self) -> None:
        _, _, denied = RESOURCES["FunctionsPolicy"]["Properties"]["PolicyDocument"]["Statement"]

        assert (denied["Effect"], denied["Resource"]) == ("Deny", "*")
        # As AWSLambdaVPCAccessExecutionRole has them, with the one that Lambda's documentation adds.
        assert set(denied["Action"]) == {
            "ec2:CreateNetworkInterface",
            "ec2:DeleteNetworkInterface",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSubnets",
            "ec2:DetachNetworkInterface",
            "ec2:AssignPrivateIpAddresses",
            "ec2:UnassignPrivateIpAddresses",
        }
        (pattern,) = TEMPLATE.resolve(denied["Condition"])["ArnLike"].values()
        for function in FUNCTIONS.values():
            assert fnmatchcase(f"arn:aws:lambda:eu-central-1:123456789012:function:{function.name}", pattern)
