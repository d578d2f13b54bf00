"""Find ie_model and ie_crowd without giving any folder a say over what else is imported.

A checkout is not put in front of sys.path, and neither is the current folder: both may hold a random.py of somebody's.
Packages of this project import nothing by themselves, so each is loaded with the checkout in front, and then its
modules are found through it. Imports only what Python has loaded by itself: it comes before everything else.
"""

import os
import sys
from _collections_abc import Mapping  # what collections.abc is made of

PACKAGES = ("ie_model", "ie_crowd")
RECIPES_PACKAGE, DISTRIBUTION, ANY_COPY = "cm_ie_repr", "ie-repr", "CM_IE_ANY_COPY"
# name -> how it is written, its list of repositories, and how a copy leaves and enters that
FRONT_ENDS = {
    "cm": ("CM", "CM_REPOS", "cm rm repo ie-repr", "cd {} && cm import repo"),
    "mlcflow": ("mlcflow", "MLC_REPOS", "mlc rm repo ie-repr", "mlc add repo {}"),
}
HERE = os.path.dirname(os.path.realpath(__file__))  # noqa: PTH120 pathlib is not loaded yet


def checkout(root: str = os.path.dirname(os.path.dirname(HERE))) -> list[str]:  # noqa: PTH120
    """The two import folders of the checkout that this file lies in; none in an installed package."""
    paths = [root, os.path.join(root, "cm-repo")]  # noqa: PTH118
    found = [os.path.isdir(os.path.join(*pair)) for pair in zip(paths, PACKAGES, strict=True)]  # noqa: PTH112, PTH118
    return paths if all(found) else []


def load(paths: list[str]) -> None:
    """Load the packages, from ``paths`` if they are there, and leave sys.path as it is."""
    before = sys.path[:]
    sys.path[:0] = paths
    try:
        for name in PACKAGES:
            __import__(name)
    finally:
        sys.path[:] = before


def environment() -> dict[str, str]:
    """This process's environment for a child, without the empty parts of PYTHONPATH: the current folder."""
    made = dict(os.environ)
    parts = list(filter(None, made.pop("PYTHONPATH", "").split(os.pathsep)))
    return {**made, "PYTHONPATH": os.pathsep.join(parts)} if parts else made


def child_environment(paths: list[str]) -> dict[str, str]:
    """The same, with ``paths`` in front of PYTHONPATH, for programs that import this project's packages by name."""
    made = environment()
    parts = [*paths, *filter(None, [made.get("PYTHONPATH")])]
    return {**made, "PYTHONPATH": os.pathsep.join(parts)} if parts else made


def command(package: str, env: Mapping[str, str], *words: str) -> list[str]:
    """The argument list that starts the package that PYTHONPATH of ``env`` names, else the loaded one.

    By the name of its file, not by `-m`, which imports modules from the path before a line of the package is run.
    """
    folder = os.path.dirname(str(sys.modules[package].__file__))  # noqa: PTH120
    parts = filter(os.path.isabs, env.get("PYTHONPATH", "").split(os.pathsep))
    named = [os.path.join(part, package) for part in parts]  # noqa: PTH118
    files = [os.path.join(place, "__main__.py") for place in (*named, folder)]  # noqa: PTH118
    return [sys.executable, "-P", next(filter(os.path.isfile, files)), *words]


def start() -> None:
    """First thing in a program of this folder: load the packages of the checkout, else the installed ones.

    After it the checkout stands behind everything on sys.path: it hides nothing.
    """
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    named = [os.path.abspath(part) for part in given if part]  # noqa: PTH100
    if any(given) and "" in given and (here := os.getcwd()) not in named and here in sys.path:  # noqa: PTH109
        sys.path.remove(here)
    cleaned = environment()
    os.environ.pop("PYTHONPATH", None)
    os.environ.update(cleaned)
    own = checkout()
    load(own)
    sys.path[:] = [*(folder for folder in sys.path if folder not in own), *own]


# Is the recipe that CM has started of the same copy of this project as the package that is installed here?


def refuse_another(
    here: str = os.path.dirname(os.path.dirname(HERE)),  # noqa: PTH120
    name: str = "cm",
) -> dict[str, object]:
    """For `predeps(i)`: the error where the recipe and the installed package are of different copies, else nothing.

    ``name``: cm or mlcflow, which started it. Each keeps one list of repositories for all environments: with two clones
    and two environments, a recipe of the older clone is started by the Python of the newer, whose user would get
    results of code that is not looked at.
    """
    if os.environ.get(ANY_COPY, "").lower() in ("yes", "1", "true"):
        return {}
    packaged = os.path.basename(here) == RECIPES_PACKAGE  # noqa: PTH119
    other = _installed_package() if packaged else _installed_checkout()
    try:
        if not other or os.path.samefile(other, here):  # noqa: PTH121
            return {}
    except OSError:
        return {}
    who, repos, forget, add = FRONT_ENDS[name]
    if packaged:
        mend = f"give this environment a list of its own: export {repos}=FOLDER"
    else:
        import shlex

        mend = f"to run that: {forget}, then {add.format(shlex.quote(other))}"
    return {
        "return": 1,
        "error": f"{who} knows the copy of ie-repr in {here}, and the one that is installed here is of {other}: "
        f"{mend}; {ANY_COPY}=yes runs the first",
    }


def _installed_checkout() -> str:
    """The checkout that the installed package came from, if pip knows it and it is still one; else ""."""
    import importlib.metadata
    import json
    from urllib.parse import unquote, urlsplit
    from urllib.request import url2pathname

    try:
        record = importlib.metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
        url = urlsplit(json.loads(record or "{}").get("url", ""))
    except (importlib.metadata.PackageNotFoundError, ValueError, AttributeError, OSError):
        return ""
    source = url2pathname(url.path) if os.name == "nt" else unquote(url.path)
    there = url.scheme == "file" and os.path.isdir(os.path.join(source, "script", "ie_recipes"))  # noqa: PTH112, PTH118
    return source if there else ""


def _installed_package() -> str:
    """The folder of the package of recipes that this Python would import, else ""."""
    import importlib.util

    spec = importlib.util.find_spec(RECIPES_PACKAGE)
    return os.path.dirname(spec.origin) if spec is not None and spec.origin else ""  # noqa: PTH120
