"""The house: imports run one way, every room has a map of its modules, and no room or file grows too large."""

import ast
import functools
from pathlib import Path

import pytest
from paths import ROOT

PACKAGES = {"ie_crowd": ROOT / "cm-repo" / "ie_crowd", "ie_model": ROOT / "ie_model"}
# from the bottom up: a room imports from itself and from those before it
ROOMS = {
    "ie_crowd": "entry run_module formats challenge result check ranking artifact store evidence submit site cli "
    "__main__",
    "ie_crowd.site": "settings middleware rendering charts api pages pictures content cache app supervisor asgi_client "
    "static_export",
    "ie_crowd.store": "user_data tables migrations database audit rate_limit rejected_uploads proofs records insert "
    "ingest standings filters query best chart_data export people",
    "ie_model": "entry facts recipes setting_checks config device setting_flags adam cuda_graphs moments pose data "
    "model objective run metrics consistency training evaluate figures new_classes ablation bench api __main__",
}
STRANGERS = {"ie_crowd": {"ie_model", "torch", "torchvision"}, "ie_model": {"ie_crowd", "cmind"}}
MOST_FILES, MOST_LINES = 16, 380


def modules(package):
    home = PACKAGES[package]
    for path in sorted(home.rglob("*.py")):
        if "versions" not in path.parts:  # migrations are run by alembic
            yield path, ".".join((package, *path.relative_to(home).with_suffix("").parts)).removesuffix(".__init__")


@functools.cache
def imported(path):
    """The dotted names that a file imports, wherever in it: "from a import b" gives a.b."""
    return tuple(_imported(path))


def _imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def room_of(name, parent):
    rest = name.removeprefix(parent + ".")
    return rest.split(".")[0] if rest != name else None


@pytest.mark.parametrize("parent", ROOMS)
def test_imports_run_downward_only(parent):
    order = ROOMS[parent].split()
    package = parent.split(".")[0]
    upward = []
    for path, name in modules(package):
        room = room_of(name, parent)
        if room is None:
            continue
        assert room in order, f"{path.relative_to(ROOT)}: its room {room} has no place in the order of {parent}"
        for other in imported(path):
            target = room_of(other, parent)
            if target in order and order.index(target) > order.index(room):
                upward.append(f"{name} imports {other}")
    assert not upward, "\n".join(upward)


@pytest.mark.parametrize("package", STRANGERS)
def test_the_two_libraries_meet_only_in_files(package):
    for path, name in modules(package):
        strangers = {other.split(".")[0] for other in imported(path)} & STRANGERS[package]
        assert not strangers, f"{name} imports {strangers}"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_room_has_a_map_that_names_each_of_its_modules(package):
    for path, name in modules(package):
        if path.name != "__init__.py" or path.parent.name == "migrations":
            continue
        about = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        first = {line.split()[0] for line in about.splitlines() if line.strip()}
        here = {file.stem for file in path.parent.glob("*.py")}
        here |= {file.parent.name for file in path.parent.glob("*/__init__.py")}
        missing = here - first - {"__init__", "__main__"}
        assert not missing, f"the docstring of {name} does not name {sorted(missing)}"


@pytest.mark.parametrize("top", ["ie_model", "cm-repo/ie_crowd", "script", "tests", "benchmarks"])
def test_no_room_and_no_file_is_too_large(top):
    for folder in {path.parent for path in (ROOT / top).rglob("*.py")}:
        files = list(folder.glob("*.py"))
        assert len(files) <= MOST_FILES, f"{folder.relative_to(ROOT)} holds {len(files)} Python files"
        if top != "tests":
            for file in files:
                lines = len(file.read_text(encoding="utf-8").splitlines())
                assert lines <= MOST_LINES, f"{file.relative_to(ROOT)} has {lines} lines"


def test_a_wrong_import_would_be_seen(tmp_path):
    file = Path(tmp_path) / "wrong.py"
    file.write_text("def later():\n    from ie_crowd.site import app\n    import ie_model.training\n")
    assert imported(file) == ("ie_crowd.site.app", "ie_model.training")
