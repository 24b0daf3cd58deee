"""The tree itself: imports point one way, the wheel is whole, and the project speaks of itself alone."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("atlas", "ingest", "queries", "schema")
LAYERS = (
    ("atlas.cli", "atlas.__main__"),
    ("atlas.ingest",),
    ("atlas.queries",),
    ("atlas.score",),
    ("atlas.census",),
    ("atlas.comparison",),
    ("atlas.behaviour",),
    ("atlas.magnitude",),
    ("atlas.absorption",),
    ("atlas.rings",),
    ("atlas.contexts",),
    ("atlas.replication",),
    ("atlas.shapes",),
    ("atlas.communities",),
    ("atlas.hierarchy",),
    ("atlas.association",),
    ("atlas.counting",),
    ("atlas.captions",),
    ("atlas.firings",),
    ("atlas.indexing",),
    ("atlas.shards",),
    ("atlas.kept",),
    ("atlas.artifacts",),
    ("atlas.mapped",),
    ("atlas.files",),
    ("atlas.schema",),
    ("atlas.tracking",),
    ("atlas.marks",),
    ("atlas.ranking",),
    ("atlas.measured",),
    ("atlas.threads",),
    ("atlas.errors",),
    ("atlas.version", "atlas"),
)
"""From the top: a module imports from its own layer and those below. `atlas` is the package itself."""
HEAVY = ("torch", "transformers", "transformer_lens", "sae_lens", "datasets", "cupy")


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file() and not (ROOT / name).is_symlink()]


def modules() -> Iterator[tuple[str, Path]]:
    """Yield (dotted name, file) of every module of the four packages."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if package == "atlas" and path.relative_to(ROOT / "atlas").parts[0] in PACKAGES[1:]:
                continue  # reached through a link
            parts = list(path.relative_to(ROOT).with_suffix("").parts)
            if package != "atlas":
                parts.insert(0, "atlas")
            if parts[-1] == "__init__":
                parts.pop()
            yield ".".join(parts), path


def layer(module: str) -> int:
    for number, names in enumerate(LAYERS):
        if any(module == name or (name != "atlas" and module.startswith(name + ".")) for name in names):
            return number
    raise AssertionError(f"{module} is in no layer")


def imports(path: Path, *, top_level: bool) -> set[str]:
    tree = ast.parse(path.read_text("utf8"))
    nodes: Iterator[ast.AST] = iter(tree.body) if top_level else ast.walk(tree)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found


@pytest.mark.parametrize(("module", "path"), list(modules()), ids=lambda value: str(value))
def test_imports_point_one_way(module: str, path: Path) -> None:
    """No module imports from a layer above its own, also inside functions."""
    for other in imports(path, top_level=False):
        if other == "atlas" or other.startswith("atlas."):
            assert layer(other) >= layer(module), f"{module} imports {other}"


@pytest.mark.parametrize(("module", "path"), list(modules()), ids=lambda value: str(value))
def test_heavy_libraries_are_imported_inside_functions(module: str, path: Path) -> None:
    """torch and the model libraries take ten seconds; the base install has none of them."""
    assert not {name.split(".")[0] for name in imports(path, top_level=True)} & set(HEAVY)


def test_every_package_of_the_tree_is_in_the_packaging() -> None:
    """A package that is not named is silently left out of the wheel."""
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {module for module, path in modules() if path.name == "__init__.py"}
    assert found == set(named)


@pytest.mark.parametrize("link", PACKAGES[1:])
def test_links_serve_a_checkout(link: str) -> None:
    """`atlas/ingest` and its like are relative links to the folders at the top."""
    assert (ROOT / "atlas" / link).is_symlink()
    assert (ROOT / "atlas" / link).readlink() == Path("..") / link


def test_the_wheel_holds_every_module_and_data_file(tmp_path: Path) -> None:
    """One top-level name, and nothing of the tree missing."""
    tree = tmp_path / "tree"  # a copy, so that what an earlier build left behind cannot slip in
    for name in tracked():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tree / name)
    built = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(tree)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr + built.stdout
    wheel = zipfile.ZipFile(next(tmp_path.glob("*.whl")))
    inside = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in inside} == {"atlas"}
    wanted = set()
    for name in tracked():
        first = name.split("/")[0]
        if first in PACKAGES:
            wanted.add(name if first == "atlas" else f"atlas/{name}")
    assert wanted <= inside, sorted(wanted - inside)
    scripts = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert wheel.read(scripts).decode().count("atlas.cli:main") == 2


def test_no_pickle_in_any_artifact_or_input() -> None:
    """Nothing of the four packages loads or writes pickles."""
    for _, path in modules():
        assert not {"pickle", "joblib", "dill", "shelve"} & imports(path, top_level=False), path
        assert not re.search(r"torch\.load\(|allow_pickle=True", path.read_text("utf8")), path


def test_no_machine_path_or_registry_host_in_the_tree() -> None:
    """What is committed runs anywhere: no home, no temporary folder of somebody's, no mirror."""
    telling = re.compile(
        r"/home/\w+/|/Users/\w+/|/root/|pypi\.org/simple|files\.pythonhosted|repo1?\.maven|registry\.npmjs"
    )
    for name in tracked():
        if name.startswith("tests/test_layout") or name.endswith((".safetensors", ".png", ".gz")):
            continue
        found = telling.search((ROOT / name).read_text("utf8", errors="replace"))
        assert found is None, f"{name}: {found and found.group(0)}"
