"""Numbers: the digits that JSON data holds, and numbers as text."""

import pytest

from shared.expressions import (
    EvaluationError,
    JsonValue,
    ResultType,
    Variables,
    VariableType,
    as_data,
    evaluate,
    render,
    text_of,
)

VARIABLES: Variables = {
    "attributes": VariableType.MAP,
    "response": VariableType.ANY,
    "cycle": VariableType.INT,
}
BIG = 7615917337495251231


def value_of(source: str, returns: ResultType = ResultType.ANY, **attributes: JsonValue) -> object:
    context = {"attributes": as_data(dict(attributes)), "cycle": 3}
    return evaluate(source, context, variables=VARIABLES, returns=returns)


def refusal(source: str, returns: ResultType = ResultType.ANY, **attributes: JsonValue) -> str:
    with pytest.raises(EvaluationError) as caught:
        value_of(source, returns, **attributes)
    return caught.value.message


class TestWholeNumbersBeyondDoubles:
    """ "Whole numbers from JSON keep every digit"; "arithmetic or ordering on them is an error, never a rounding"."""

    @pytest.mark.parametrize("number", [BIG, -BIG, 2**53 + 1, -(2**53) - 1, 2**64 + 1, 10**400 + 7])
    def test_they_are_passed_on_as_they_are(self, number: int) -> None:
        assert value_of("attributes.id", id=number) == number
        assert value_of("[{'a': attributes.id}]", id=number) == [{"a": number}]
        assert value_of("attributes", ResultType.MAP, id=number) == {"id": number}

    @pytest.mark.parametrize(
        "template", ["{{attributes.id}}", "${attributes.id}", "${string(attributes.id)}"]
    )
    @pytest.mark.parametrize("number", [BIG, -BIG, 10**30])
    def test_texts_show_every_digit(self, template: str, number: int) -> None:
        context = {"attributes": as_data({"id": number})}

        assert render(f"no. {template}", context, variables=VARIABLES) == f"no. {number}"

    def test_equal_ones_are_equal_and_others_are_not(self) -> None:
        assert value_of("attributes.a == attributes.b", a=BIG, b=BIG) is True
        assert value_of("attributes.a == attributes.b", a=BIG, b=BIG + 1) is False
        assert value_of("attributes.a != attributes.b", a=BIG, b=-BIG) is True
        assert value_of("attributes.a in [attributes.b, 1]", a=BIG, b=BIG) is True

    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("attributes.id == 7615917337495251231", True),
            ("attributes.id == 7615917337495251232", False),
            ("-7615917337495251231 == attributes.negative", True),
            ("attributes.negative in [1, - 7615917337495251231]", True),
            ("attributes.negative == 7615917337495251231", False),
            ("attributes.huge == 100000000000000000000000000000", True),
            ("attributes.id == attributes.small", False),
            ("attributes.id == 5.0 || attributes.id == '7615917337495251231'", False),
            ("7615917337495251231 == 7615917337495251231", True),
        ],
    )
    def test_they_equal_the_same_number_in_the_source(self, source: str, expected: bool) -> None:  # noqa: FBT001 - a literal of the table
        assert value_of(source, id=BIG, negative=-BIG, huge=10**29, small=5) is expected

    @pytest.mark.parametrize(
        "source",
        [
            "attributes.id + 1",
            "attributes.id - 1.0",
            "-attributes.id",
            "attributes.id * attributes.id",
            "attributes.id % 2",
            "attributes.id < 5.0",
            "attributes.id >= attributes.id",
            "cycle < attributes.id",
            "double(attributes.id) > 1.0",
            "int(attributes.id)",
            "cycle + 9007199254740993",
            "9007199254740993 - 9007199254740993",
        ],
    )
    def test_arithmetic_order_and_conversion_are_errors(self, source: str) -> None:
        assert refusal(source, id=BIG).endswith(
            "; a whole number beyond 2^53 can only be compared by == and !=, passed on, and written by string()"
        )

    def test_an_error_that_has_nothing_to_do_with_them_has_no_such_hint(self) -> None:
        assert refusal("attributes.id == 1 || attributes.text + 1 == 2", id=BIG, text="x") == (
            "No matching overloads found : _+_(string, int64)"
        )
        assert refusal("attributes.missing", id=BIG) == 'Key not found in map : "missing"'

    def test_up_to_2_to_53_they_are_doubles(self) -> None:
        assert value_of("attributes.id + 0.0 == 9007199254740992.0", id=2**53) is True
        assert value_of("attributes.id", id=2**53) == 2**53

    def test_one_is_no_map_of_directives(self) -> None:
        assert (
            refusal("attributes.id", ResultType.MAP, id=BIG) == "this must return map, it returned a number"
        )

    def test_a_map_with_a_number_as_key_is_no_number(self) -> None:
        assert refusal("dyn({0: 'x'})") == "a key of a map is not text"
        assert refusal("dyn({0: '5'})") == "a key of a map is not text"
        assert refusal("dyn({1: '7615917337495251231'})") == "a key of a map is not text"
        assert refusal("dyn({0: 7, 1: 8})") == "a key of a map is not text"

    def test_more_digits_than_can_be_written_are_refused(self) -> None:
        with pytest.raises(EvaluationError, match="a number has more than 4,200 digits"):
            render("{{response}}", {"response": 10**5000}, variables=VARIABLES)
        with pytest.raises(EvaluationError, match="the context is not JSON"):
            evaluate("response", {"response": 10**5000}, variables=VARIABLES, returns=ResultType.ANY)

    def test_a_long_text_of_digits_is_a_text(self) -> None:
        assert value_of("attributes.text + attributes.text", text=str(BIG)) == f"{BIG}{BIG}"


class TestNumbersAsText:
    """ "No exponents in texts"; "`string()` of a whole number prints it whole and agrees with `{{}}`"."""

    NUMBERS = (
        (1234567, "1234567"),
        (12345678, "12345678"),
        (1e6, "1000000"),
        (2.5, "2.5"),
        (-0.0, "0"),
        (-7, "-7"),
        (1e20, "100000000000000000000"),
        (1e-7, "0.0000001"),
        (1.5e-10, "0.00000000015"),
        (2**53, "9007199254740992"),
        (0.1, "0.1"),
        (BIG, "7615917337495251231"),
    )

    @pytest.mark.parametrize(("number", "text"), NUMBERS)
    def test_string_writes_the_digits(self, number: float, text: str) -> None:
        assert value_of("'INV-' + string(attributes.n)", n=number) == f"INV-{text}"

    @pytest.mark.parametrize(("number", "text"), NUMBERS)
    def test_a_template_shows_the_same(self, number: float, text: str) -> None:
        context = {"attributes": as_data({"n": number, "list": [number]})}

        assert render("c-{{attributes.n}}", context, variables=VARIABLES) == f"c-{text}"
        assert render("c-${attributes.n}", context, variables=VARIABLES) == f"c-{text}"
        assert render("{{attributes.list}}!", context, variables=VARIABLES) == f"[{text}]!"

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (None, ""),
            ("é", "é"),
            (True, "true"),
            ([None, "a", False, {"k": 1e21}], '[null,"a",false,{"k":1000000000000000000000}]'),
        ],
    )
    def test_every_json_value_has_a_text(self, value: JsonValue, text: str) -> None:
        assert text_of(value) == text

    @pytest.mark.parametrize(
        ("source", "text"),
        [
            ("string(true)", "true"),
            ("string(7)", "7"),
            ("string(7u)", "7"),
            ("string('x')", "x"),
            ("string(b'\\xc3\\xa9')", "é"),
            ("string(duration('90.5s'))", "90.5s"),
            ("string(duration('1h'))", "3600s"),
            ("string(timestamp('2026-03-01T12:00:00Z'))", "2026-03-01T12:00:00.000Z"),
            ("string (1.0) + string\n(2)", "12"),
        ],
    )
    def test_other_values_have_a_text(self, source: str, text: str) -> None:
        assert value_of(source) == text

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            ("string(1.0 / 0.0)", "string: the number is NaN or infinite"),
            ("string(b'\\xff')", "string: the bytes are not UTF-8 text"),
            ("string(attributes)", "string: a map has no text; name the member to write"),
            ("string(attributes.missing)", 'Key not found in map : "missing"'),
        ],
    )
    def test_values_without_a_text_are_refused(self, source: str, message: str) -> None:
        assert refusal(source) == message

    def test_the_type_string_keeps_its_name(self) -> None:
        assert value_of("type(attributes.a) == string", a="x") is True

    def test_a_member_called_string_is_no_function(self) -> None:
        assert value_of("attributes.string", string="x") == "x"
        assert refusal("attributes.string(1)").startswith("undeclared: undeclared reference to 'string'")

    def test_errors_name_the_function_as_users_know_it(self) -> None:
        assert refusal("string([1])") == (
            "type: found no matching overload for 'string' applied to '(list(int))'"
        )
