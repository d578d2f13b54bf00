"""Build hook: puts the two CM repositories of this project into the wheel, each as a package that cmind finds.

cmind registers every importable package whose name starts with `cm` and whose root holds a `cmr.yaml`. So the
wheel gets

- `cm_ie_repr`: cmr.yaml, meta.yaml (the same for mlcflow) and script/ (the recipes);
- `cm_ie_repr_crowd`: cm-repo's cmr.yaml, challenge/ and experiment/ (what the crowd shares).

An editable install gets neither, since it would freeze copies of the recipes: it is used with `cm import repo`.

The reference results come without figures and weights, which would be 25 of 26 MB, and so without the sums that name
them: every number is in result.json, and the site says where the figures are.

Where the source is a git checkout, the wheel's metadata says which commit it is, so that a result made with
`pip install .` can say it too.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

REPOSITORIES = {
    "cm_ie_repr": (Path(), ["cmr.yaml", "meta.yaml", "script"]),
    "cm_ie_repr_crowd": (Path("cm-repo"), ["cmr.yaml", "challenge", "experiment"]),
}
LEFT_OUT = ("figures", "runs", "SHA256SUMS")  # of each reference result
INIT = '"""A CM repository: cmind finds it by its name and its cmr.yaml."""\n'


class CustomBuildHook(BuildHookInterface):
    """Adds the files of REPOSITORIES to a standard wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fill `build_data["force_include"]`; `version` is "standard" or "editable"."""
        if version != "standard":
            return
        self.scratch = Path(tempfile.mkdtemp(prefix="ie-repr-build-"))
        for package, (folder, names) in REPOSITORIES.items():
            # without an __init__.py cmind does not see the package; each needs a source file of its own
            init = self.scratch / f"{package}.py"
            init.write_text(INIT, encoding="utf-8")
            build_data["force_include"][str(init)] = f"{package}/__init__.py"
            base = Path(self.root) / folder
            for file in (file for name in names for file in _files(base / name)):
                if not _is_left_out(file.relative_to(base)):
                    build_data["force_include"][str(file)] = f"{package}/{file.relative_to(base).as_posix()}"

        source = self._source()
        if source is not None:
            build_data["extra_metadata"][str(source)] = source.name

    def _source(self) -> Path | None:
        """A file with what ie_crowd's own provenance says of this checkout; None where git has no answer."""
        sys.path.insert(0, str(Path(self.root) / "cm-repo"))
        try:
            from ie_crowd.result import provenance  # the standard library is all that it needs
        finally:
            del sys.path[0]
        state = provenance.checkout(Path(self.root))
        if state is None:
            return None
        file = self.scratch / Path(provenance.SOURCE).name
        file.write_text(json.dumps(dict(zip(("repository", "commit", "dirty"), state, strict=True))), encoding="utf-8")
        return file

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what `initialize` wrote outside the wheel."""
        if version == "standard":
            shutil.rmtree(self.scratch, ignore_errors=True)


def _files(path: Path) -> list[Path]:
    """Every file at or under `path`, sorted, but compiled Python and what is git's; none when `path` does not exist."""
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file() and not _is_junk(file.relative_to(path)))


def _is_junk(file: Path) -> bool:
    return "__pycache__" in file.parts or file.suffix in (".pyc", ".pyo") or file.name.startswith(".git")


def _is_left_out(file: Path) -> bool:
    return file.parts[0] == "experiment" and any(name in file.parts for name in LEFT_OUT)
