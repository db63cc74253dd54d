"""Imports point down, and outsiders know only the wire.

The layers inside `appliance` are a contract of import-linter (pyproject.toml, checked by `make lint` and here); the
edge rules below need no list of packages, so they cannot go stale.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def imported(path: Path) -> set[str]:
    """Every module a file imports, absolute; function-local imports count too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write it in full"
            names.add(node.module or "")
    return names


def files(*folders: str) -> list[Path]:
    return [
        path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")) if "node_modules" not in path.parts
    ]


@pytest.mark.parametrize("path", files("collector_client"), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_collector_knows_only_the_wire_of_the_appliance(path: Path) -> None:
    foreign = {n for n in imported(path) if n.split(".")[0] == "appliance" and not n.startswith("appliance.wire")}
    assert not foreign


@pytest.mark.parametrize("path", files("appliance"), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_appliance_never_imports_the_collector(path: Path) -> None:
    assert not {n for n in imported(path) if n.split(".")[0] in ("collector_client", "image", "firmware", "tests")}


@pytest.mark.parametrize("path", files("image"), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_image_knows_only_the_standard_library_and_the_wire(path: Path) -> None:
    allowed = sys.stdlib_module_names | {"image"}
    foreign = {n for n in imported(path) if n.split(".")[0] not in allowed and not n.startswith("appliance.wire")}
    assert not foreign


@pytest.mark.parametrize("path", files("appliance/wire"), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_wire_is_a_leaf(path: Path) -> None:
    allowed = sys.stdlib_module_names | {"lxml"}
    assert not {n for n in imported(path) if n.split(".")[0] not in allowed and not n.startswith("appliance.wire")}


@pytest.mark.parametrize(
    "path", files("appliance", "collector_client", "image"), ids=lambda p: str(p.relative_to(ROOT))
)
def test_no_import_hides_inside_a_function(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            hidden = [node.lineno for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)]
            assert not hidden, f"{path}:{hidden}: a function-local import"


@pytest.mark.parametrize("package", ["appliance", "collector_client", "appliance.wire", "appliance.wire.snml"])
def test_a_front_door_loads_nothing_heavy(package: str) -> None:
    """A collector or a laptop must not need the engine or the TPM libraries to read SNML."""
    heavy = ("vedette_engine", "tpm2_pytss", "psutil", "aiohttp")
    code = f"import sys, {package}; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert out.stdout.strip() == "[]"


def test_the_layers_of_the_appliance_hold() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    out = subprocess.run([linter, "--no-cache"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert out.returncode == 0, out.stdout
