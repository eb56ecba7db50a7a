"""Operations that describe scripts. Source: docs/contracts/automation.md, A.1 rows 12 and 13."""

from shared.api.automation.answers import FunctionsShape, Parameter, TimezonesShape
from shared.api.automation.schemas import TimezonesQuery
from shared.api.http.request import Request
from shared.api.http.route import Answer
from shared.expressions.windows_zones import WINDOWS_ZONES


def list_timezones(_: Request, query: TimezonesQuery) -> Answer[TimezonesShape]:
    """List the time zones by their Windows ids; with ``contains``, those with this text in id or name, in any case."""
    # casefold() also matches letters that lower() keeps apart.
    part = query.contains.casefold()
    zones: TimezonesShape = [
        {"id": zone.id, "name": zone.name}
        for zone in WINDOWS_ZONES
        if part in zone.id.casefold() or part in zone.name.casefold()
    ]
    return Answer(body=zones)


def list_functions(_: Request) -> Answer[FunctionsShape]:
    """List the functions that scripts can call in addition to those of CEL."""
    return Answer(body=FUNCTIONS)


def _parameter(name: str, example: str, description: str) -> Parameter:
    return {
        "name": name,
        "type": "string",
        "required": True,
        "default": None,
        "example": example,
        "description": description,
    }


FUNCTIONS: FunctionsShape = [
    {
        "name": "isCountryCode",
        "description": "Whether a telephone number in international form belongs to a country.",
        "parameters": [
            _parameter("phoneNumber", "+6512345678", "The number; blanks, dots and dashes do not count."),
            _parameter("countryCode", "SG", "Two letters of ISO 3166-1, in any case."),
        ],
        "example": "isCountryCode('+6512345678', 'SG')",
    },
    {
        "name": "isDayOfWeek",
        "description": "Whether a date is a day of the week.",
        "parameters": [
            _parameter("timestamp", "2021-05-25", "A date, or a date and time in ISO 8601."),
            _parameter("day", "Tuesday", "Monday to Sunday, in any case."),
        ],
        "example": "isDayOfWeek('2021-05-25', 'Tuesday')",
    },
    {
        "name": "isTimeOfDayBetween",
        "description": "Whether an instant falls between two times of day in a time zone, both included.",
        "parameters": [
            _parameter("timestamp", "2020-10-15T14:40:15+07:00", "A date and time in ISO 8601."),
            _parameter(
                "timeFrom",
                "09:00:00",
                "HH:mm:ss. If it is later than timeTo, the range spans midnight.",
            ),
            _parameter("timeTo", "18:00:00", "HH:mm:ss."),
            _parameter("timezone", "Singapore Standard Time", "An id of /steps/timezones, or of IANA."),
        ],
        "example": "isTimeOfDayBetween('2020-10-15T14:40:15+07:00', '09:00:00', '18:00:00', 'Singapore Standard Time')",
    },
    {
        "name": "stringContains",
        "description": "Whether a text contains another.",
        "parameters": [
            _parameter("source", "hello, world", "The text."),
            _parameter("value", "wor", "The text to find."),
            {
                "name": "ignoreCase",
                "type": "boolean",
                "required": False,
                "default": False,
                "example": True,
                "description": "Whether to ignore upper and lower case.",
            },
        ],
        "example": 'stringContains("hello, world", "wor", true)',
    },
    {
        "name": "uuid",
        "description": "A UUID, different for each place and execution, the same if an execution is repeated.",
        "parameters": [],
        "example": "uuid()",
    },
]
"""The functions with their parameters. A test evaluates each example."""
