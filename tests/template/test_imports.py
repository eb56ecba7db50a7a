"""The modules of an artifact: each is imported by the handler of some function. Source: docs/decisions/0011."""

from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
BUILD_TIME = "shared.api.reference"
GRAPH = grimp.build_graph("functions", "shared", cache_dir=None)
EVALUATOR = "shared.adapters.evaluator.worker"
"""The process that a function starts by name."""

HANDLERS = sorted(module for module in GRAPH.modules if module.endswith(".handler"))


def reachable() -> set[str]:
    """Return the modules that handlers and the evaluator import, directly or not, and the packages these are in."""
    graph = grimp.build_graph("functions", "shared", cache_dir=None)
    for module in graph.find_descendants(BUILD_TIME) | {BUILD_TIME}:
        graph.remove_module(module)
    roots = [*HANDLERS, EVALUATOR]
    imported = set(roots).union(*(graph.find_upstream_modules(root) for root in roots))
    return imported | {
        ".".join(parts[:depth])
        for parts in (module.split(".") for module in imported)
        for depth in range(1, len(parts))
    }


def test_every_function_has_a_handler() -> None:
    folders = {path.parent.name for path in (ROOT / "functions").glob("*/__init__.py")}

    assert {handler.split(".")[1] for handler in HANDLERS} == folders


def test_every_shared_module_outside_the_reference_is_imported_by_a_function() -> None:
    shared = {module for module in GRAPH.modules if module.split(".")[0] == "shared"}
    build_time = GRAPH.find_descendants(BUILD_TIME) | {BUILD_TIME}

    assert sorted(shared - build_time - reachable()) == []


def test_only_the_pages_of_the_local_stack_import_the_reference() -> None:
    importers = {
        importer
        for module in GRAPH.find_descendants(BUILD_TIME)
        for importer in GRAPH.find_modules_that_directly_import(module)
        if not importer.startswith(BUILD_TIME)
    }

    assert importers == {"shared.api.http.pages"}
