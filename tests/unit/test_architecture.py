"""What the folders promise: imports point one way, the edge needs no torch, and public means listed."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_autotuner import errors
from helpers import REPOSITORY

SOURCE = REPOSITORY / "src" / "edge_autotuner"
PACKAGES = sorted(path.parent for path in SOURCE.rglob("__init__.py"))

STAGES = {
    "capture", "annotation", "dataset", "models", "training", "evaluation", "deployment", "maintenance",
    "compression", "collaborative", "simulation", "tracking",
}  # fmt: skip
BASE = {"core", "errors", "config", "storage", "_version"}
LOOP = BASE | STAGES | {"client", "wire"}
MAY_IMPORT = {
    "_version": set(),
    "errors": set(),
    "core": {"errors"},
    "storage": {"core", "errors"},
    "config": {"core", "errors", "storage"},
    "wire": {"core", "errors", "config"},  # both sides read it, so it knows neither
    **{stage: BASE | {"models", "dataset"} for stage in STAGES},
    "dataset": BASE,  # models store files with it: the other direction would be a cycle
    "client": BASE | {"models", "dataset", "wire"},  # no stage: `pipeline` joins what it fetched with the stages
    "pipeline": LOOP,
    "node": LOOP | {"pipeline"},
    "fleet": LOOP | {"pipeline", "node"},
    "server": BASE | STAGES | {"wire", "pipeline"},  # no HTTP client, and nothing that runs beside a camera
    "cli": LOOP | {"pipeline", "node", "fleet", "server"},
}

TRAIN_ONLY = {"torch", "onnx", "onnxscript", "safetensors", "jinja2"}
HEAVY = TRAIN_ONLY | {"cv2", "onnxruntime", "av", "pydantic", "typer", "rich", "yaml", "numpy"}
SERVER_ONLY = {"fastapi", "starlette", "uvicorn", "sqlalchemy", "prometheus_client"}
EDGE_PACKAGES = (
    "core",
    "storage",
    "config",
    "wire",
    "capture",
    "dataset",
    "models",
    "deployment",
    "tracking",
    "client",
)
# modules of `models` that are written in torch begin like this
NETWORKS = ("yolox", "ssdlite", "trainable", "torch_", "transformers_")

MAX_TRACKED_BYTES = 5 * 1000 * 1000


def source_files() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def own_imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and part of the package of every import of our own code, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "edge_autotuner" else [module]
        for name in names:
            if name.split(".")[0] == "edge_autotuner":
                yield node.lineno, f"{name}.".split(".")[1]


def part_of(path: Path) -> str:
    """Return the part of the package that a file belongs to: its folder, or its own name at the top."""
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def test_imports_point_one_way() -> None:
    wrong = []
    for path in source_files():
        part = part_of(path)
        if part in {"__init__", "__main__"}:
            continue
        assert part in MAY_IMPORT, f"{path}: no rule says what '{part}' may import"
        for line, target in own_imports(path):
            if target and target != part and target not in MAY_IMPORT[part]:
                wrong.append(f"{path.relative_to(REPOSITORY)}:{line} imports {target}")
    assert wrong == []


MAKES_DETECTIONS = {
    "models/decode.py": "raw outputs of a model",
    "simulation/static_camera.py": "exact truth of a drawn scene",
    "simulation/world/truth.py": "exact truth of a simulated world",
}


def test_detections_are_rebuilt_nowhere() -> None:
    """A value made field by field loses what a subclass adds; methods of `Detections` keep it."""
    makers = {
        path.relative_to(SOURCE).as_posix()
        for path in source_files()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Detections"
    }
    assert {path for path in makers if not path.startswith("core/")} == set(MAKES_DETECTIONS)


def test_core_needs_numpy_and_the_standard_library_only() -> None:
    allowed = set(sys.stdlib_module_names) | {"numpy", "edge_autotuner"}
    for path in (SOURCE / "core").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[0] for name in names} <= allowed, f"{path.name}:{node}"


LOADED = """
import importlib, json, sys
found = {}
for name in sys.argv[2:]:
    importlib.import_module(name)
    loaded = sorted(set(sys.argv[1].split(",")) & set(sys.modules))
    if loaded:
        found[name] = loaded
        break
print(json.dumps(found))
"""


def heavy_modules_loaded_by(names: list[str], forbidden: set[str]) -> dict[str, list[str]]:
    """Import modules one after the other in a new process; return the first that loads something forbidden."""
    command = [sys.executable, "-c", LOADED, ",".join(sorted(forbidden)), *names]
    environment = {"PYTHONPATH": str(SOURCE.parent), "PATH": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def modules_of(package: str) -> list[str]:
    files = sorted((SOURCE / package).rglob("*.py"))
    dotted = [".".join(path.relative_to(SOURCE.parent).with_suffix("").parts) for path in files]
    return [name.removesuffix(".__init__") for name in dotted]


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert heavy_modules_loaded_by(["edge_autotuner"], HEAVY) == {}


@pytest.mark.parametrize("package", EDGE_PACKAGES)
def test_edge_packages_load_without_the_train_extra(package: str) -> None:
    names = [name for name in modules_of(package) if not name.rpartition(".")[2].startswith(NETWORKS)]
    assert f"edge_autotuner.{package}" in names
    assert heavy_modules_loaded_by(names, TRAIN_ONLY | SERVER_ONLY) == {}


def test_the_service_needs_no_http_client() -> None:
    assert heavy_modules_loaded_by(["edge_autotuner.client", "edge_autotuner.wire.messages"], {"httpx2", "cv2"}) == {}


def public_names(tree: ast.Module) -> set[str]:
    """Return what a package's `__init__` offers: its own definitions, and what it takes from our own modules."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("edge_autotuner"):
            names.update(alias.asname or alias.name for alias in node.names)
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            names.add(statement.name)
        elif isinstance(statement, ast.Assign):
            names.update(target.id for target in statement.targets if isinstance(target, ast.Name))
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            names.add(statement.target.id)
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: str(path.relative_to(SOURCE.parent)))
def test_public_means_listed(package: Path) -> None:
    tree = ast.parse((package / "__init__.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "a package says what it is for"
    dotted = ".".join(package.relative_to(SOURCE.parent).parts)
    module = __import__(dotted, fromlist=["__all__"])
    listed = list(getattr(module, "__all__", []))
    assert len(set(listed)) == len(listed)
    assert {name for name in listed if not name.startswith("__")} == public_names(tree)
    for name in listed:
        getattr(module, name)


def tracked_files() -> list[Path]:
    """Return what git tracks or would track; skip where this is not a checkout."""
    command = ["git", "-C", str(REPOSITORY), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("git is not installed")
    if done.returncode != 0:
        pytest.skip("this is not a git checkout")
    paths = [REPOSITORY / name for name in done.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def test_no_large_file_is_tracked() -> None:
    large = {str(path): path.stat().st_size for path in tracked_files() if path.stat().st_size > MAX_TRACKED_BYTES}
    assert large == {}


def test_no_path_of_one_machine_is_tracked() -> None:
    machine_path = re.compile(rb"(?<![\w.~}])/(?:work|root|home)/\w")
    found = []
    for path in tracked_files():
        content = path.read_bytes()
        if b"\0" not in content and machine_path.search(content):
            found.append(str(path.relative_to(REPOSITORY)))
    assert found == []


def error_classes() -> list[type[errors.EdgeAutotunerError]]:
    found = [errors.EdgeAutotunerError]
    for error_class in found:
        found.extend(error_class.__subclasses__())
    return [error_class for error_class in found if error_class.__module__ == errors.__name__]


def test_every_error_has_an_exit_code_of_its_own() -> None:
    codes = [error_class.exit_code for error_class in error_classes()]
    assert sorted(codes) == list(range(1, len(codes) + 1))


def test_the_error_tree_in_the_docstring_is_complete() -> None:
    for error_class in error_classes():
        assert re.search(rf"\b{error_class.__name__}\b", errors.__doc__ or "")


def test_exit_codes_are_documented() -> None:
    page = (REPOSITORY / "docs" / "reference" / "exit-codes.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| `?(\w+)`? \|", page, flags=re.MULTILINE)
    expected = {(str(error_class.exit_code), error_class.__name__) for error_class in error_classes()}
    assert set(rows) == expected | {("0", "success"), ("70", "unexpected"), ("130", "KeyboardInterrupt")}
    assert len(rows) == len(expected) + 3


def nav_pages(entry: object) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    elif isinstance(entry, dict):
        for child in entry.values():
            yield from nav_pages(child)
    elif isinstance(entry, list):
        for child in entry:
            yield from nav_pages(child)


def test_every_docs_page_is_in_the_navigation() -> None:
    yaml = pytest.importorskip("yaml")
    nav = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    docs = REPOSITORY / "docs"
    assert sorted(nav_pages(nav)) == sorted(str(path.relative_to(docs)) for path in docs.rglob("*.md"))


def test_links_between_docs_pages_lead_somewhere() -> None:
    broken = []
    for page in sorted((REPOSITORY / "docs").rglob("*.md")):
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert broken == []


def test_constraints_pin_every_dependency_within_its_range() -> None:
    packaging = pytest.importorskip("packaging.requirements")
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.lower().split("==") for line in lines if line and not line.startswith("#"))
    wanted = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    for requirement in map(packaging.Requirement, wanted):
        assert requirement.name.lower() in pins, f"{requirement.name} is not pinned"
        assert requirement.specifier.contains(pins[requirement.name.lower()]), str(requirement)


def test_no_property_test_has_limits_of_its_own() -> None:
    """The profile in tests/conftest.py says for all of them that no example has a deadline, and the like."""
    of_the_profile = {"deadline", "derandomize", "suppress_health_check", "database", "print_blob"}
    overriding = []
    for path in sorted((REPOSITORY / "tests").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if "hypothesis" in text else ():
            is_settings = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "settings"
            if is_settings and {keyword.arg for keyword in node.keywords} & of_the_profile:
                overriding.append(f"{path.relative_to(REPOSITORY)}:{node.lineno}")
    assert [place for place in overriding if "conftest" not in place] == []
