"""Exact decimal numbers, and numbers by a pattern."""

import pytest

from shared.expressions import EvaluationError, ResultType, Variables, VariableType, as_data, check, evaluate

VARIABLES: Variables = {"attributes": VariableType.MAP}


def value_of(source: str, **attributes: object) -> object:
    context = {"attributes": as_data(attributes)}  # type: ignore[arg-type] # JSON values
    return evaluate(source, context, variables=VARIABLES, returns=ResultType.ANY)


def refusal(source: str) -> str:
    with pytest.raises(EvaluationError) as caught:
        value_of(source)
    return caught.value.message


class TestDecimals:
    """Decimal numbers are texts, and exact."""

    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("decAdd('0.1', '0.2')", "0.3"),
            ("decAdd('12.30', '0.1')", "12.40"),
            ("decAdd('-0.30', '0.3')", "0.00"),
            ("decSub('12.30', '0.1')", "12.20"),
            ("decSub('1', '2.5')", "-1.5"),
            ("decMul('12.30', '1.21')", "14.8830"),
            ("decMul('-0.0', '5')", "0.0"),
            ("decMul('12345678901234567890.12', '10')", "123456789012345678901.20"),
            ("decDiv('10', '3', 2)", "3.33"),
            ("decDiv('2', '3', 0)", "1"),
            ("decDiv('-1', '8', 2)", "-0.13"),
            ("decRound('2.345', 2)", "2.35"),
            ("decRound('2.5', 0)", "3"),
            ("decRound('-2.345', 2)", "-2.35"),
            ("decRound('7', 2)", "7.00"),
            ("decCompare('1.0', '1')", 0),
            ("decCompare('0.99', '1')", -1),
            ("decCompare('10', '9')", 1),
            ("decAdd('+007', '1')", "8"),
            ("decMul('1' , '99999999999999999999999999999999999999999999999999')", "9" * 50),
        ],
    )
    def test_decimals_are_exact(self, source: str, expected: object) -> None:
        assert value_of(source) == expected

    def test_a_number_of_the_data_is_written_as_text_first(self) -> None:
        assert value_of("decMul(string(attributes.price), '3')", price=19.99) == "59.97"
        assert value_of("decAdd(string(attributes.id), '1')", id=7615917337495251231) == "7615917337495251232"

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            (
                "decAdd('1,5', '1')",
                "decAdd: '1,5' is not a decimal number such as 12.30; write a number as string(number)",
            ),
            (
                "decSub('1', '')",
                "decSub: '' is not a decimal number such as 12.30; write a number as string(number)",
            ),
            (
                "decMul('1e5', '1')",
                "decMul: '1e5' is not a decimal number such as 12.30; write a number as string(number)",
            ),
            ("decDiv('1', '0.0', 2)", "decDiv: the divisor is zero"),
            ("decDiv('1', '3', 21)", "decDiv: the decimals must be 0 to 20, not 21"),
            ("decRound('1', -1)", "decRound: the decimals must be 0 to 20, not -1"),
            (
                "decMul('10', '99999999999999999999999999999999999999999999999999')",
                "decMul: the result has more than 50 digits before or after the point",
            ),
            (
                "decMul('0.00000000000000000000000000000001', '0.00000000000000000000000000000001')",
                "decMul: the result has more than 50 digits before or after the point",
            ),
        ],
    )
    def test_what_is_no_decimal_or_too_long_is_refused(self, source: str, message: str) -> None:
        assert refusal(source) == message


class TestFormatNumber:
    """A number by a pattern: decimals, leading zeros, thousands."""

    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("formatNumber(5, '0.00')", "5.00"),
            ("formatNumber(12.5, '0.00')", "12.50"),
            ("formatNumber(1.005, '0.00')", "1.01"),
            ("formatNumber(-2.5, '0')", "-3"),
            ("formatNumber(-0.001, '0.00')", "0.00"),
            ("formatNumber(7, '000')", "007"),
            ("formatNumber(1234567.891, '#,##0.00')", "1,234,567.89"),
            ("formatNumber(999, '#,##0')", "999"),
            ("formatNumber(-1234, '#,##0')", "-1,234"),
            ("formatNumber('12.345', '0.00')", "12.35"),
            ("formatNumber(1e300, '0')", "1" + "0" * 300),
            ("formatNumber(attributes.id, '#,##0')", "7,615,917,337,495,251,231"),
        ],
    )
    def test_a_number_by_a_pattern(self, source: str, expected: str) -> None:
        assert value_of(source, id=7615917337495251231) == expected

    @pytest.mark.parametrize("pattern", ["", "0,00", "#", "0.", ".00", "#,##00", "0.00 EUR", "0" * 21])
    def test_other_patterns_are_refused_when_saved(self, pattern: str) -> None:
        found = check(f"formatNumber(1, '{pattern}')", variables=VARIABLES, returns=ResultType.ANY)

        assert found is not None
        assert found.rule == "pattern"
        assert found.message == f"formatNumber: {pattern!r} is not a pattern such as 0, 0.00 or #,##0.00"

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            (
                "formatNumber(1, '0' + ',0')",
                "formatNumber: '0,0' is not a pattern such as 0, 0.00 or #,##0.00",
            ),
            ("formatNumber(1.0 / 0.0, '0')", "formatNumber: the number is NaN or infinite"),
            ("formatNumber(attributes, '0')", "formatNumber: a map is not a number"),
            (
                "formatNumber('x', '0')",
                "formatNumber: 'x' is not a decimal number such as 12.30; write a number as string(number)",
            ),
        ],
    )
    def test_what_is_no_number_is_refused(self, source: str, message: str) -> None:
        assert refusal(source) == message
