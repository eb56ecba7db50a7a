"""Named controllers: functions of a module that the deployer ships."""

import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest

from shared.adapters.controllers import ModuleControllers, NoControllers
from shared.domain.steps.controllers import ControllerError

NAME = "a_shop_of_controllers"


def greet(seen: Mapping[str, Any]) -> Any:
    return {"response": f"hello {seen['attributes']['name']}", "at": datetime(2026, 1, 1, tzinfo=UTC)}


def fail(_: Mapping[str, Any]) -> Any:
    raise LookupError("no such customer")


@pytest.fixture
def module() -> Iterator[ModuleType]:
    made = ModuleType(NAME)
    made.CONTROLLERS = {  # type: ignore[attr-defined]
        "greet": greet,
        "fail": fail,
        "nothing": lambda _: None,
        "odd": lambda _: {"response": object()},
        "nan": lambda _: {"response": float("nan")},
    }
    sys.modules[NAME] = made
    yield made
    del sys.modules[NAME]


@pytest.mark.usefixtures("module")
class TestAModule:
    """The mapping CONTROLLERS of the module registers the controllers."""

    def test_the_names_of_the_mapping_are_registered(self) -> None:
        assert set(ModuleControllers(module=NAME).names) == {"greet", "fail", "nothing", "odd", "nan"}

    def test_the_result_of_a_controller_is_json(self) -> None:
        answer = ModuleControllers(module=NAME).run("greet", {"attributes": {"name": "Ann"}})
        assert answer == {"response": "hello Ann", "at": "2026-01-01T00:00:00.000Z"}

    def test_a_controller_that_returns_none_is_none(self) -> None:
        assert ModuleControllers(module=NAME).run("nothing", {}) is None

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("fail", "LookupError: no such customer"),
            ("odd", "TypeError: object has no JSON form"),
            ("nan", "ValueError: Out of range float values are not JSON compliant"),
            ("unheard-of", "controller 'unheard-of' is not registered"),
        ],
    )
    def test_an_error_of_a_controller_is_reported(self, name: str, message: str) -> None:
        with pytest.raises(ControllerError, match=f"^{message}"):
            ModuleControllers(module=NAME).run(name, {})


class TestWhatIsNoModule:
    """A deployment whose controllers cannot be loaded does not run."""

    def test_a_missing_module_is_an_error(self) -> None:
        with pytest.raises(ImportError):
            _ = ModuleControllers(module="not_there_at_all").names

    @pytest.mark.parametrize("mapping", [None, ["greet"], {"greet": "hello"}, {1: greet}])
    def test_a_module_without_a_mapping_is_an_error(self, module: ModuleType, mapping: object) -> None:
        module.CONTROLLERS = mapping  # type: ignore[attr-defined]
        with pytest.raises(TypeError, match="must map names to functions"):
            _ = ModuleControllers(module=NAME).names

    def test_without_a_module_no_controller_is_registered(self) -> None:
        assert list(NoControllers().names) == []
        with pytest.raises(ControllerError, match="controller 'greet' is not registered"):
            NoControllers().run("greet", {})
