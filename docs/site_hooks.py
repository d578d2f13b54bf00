"""MkDocs hooks: pages from files beside docs/, an API reference of every module, and no request to elsewhere.

- README.md, CONTRIBUTING.md, CHANGELOG.md and SECURITY.md lie where readers look for them, above docs/. Each becomes a
  page, with its links turned to where things lie in the site.
- The API reference has a page for each package. mkdocstrings reads the docstrings of the modules and imports none.
- At the foot of each page stands the version that it is of; older ones are in the repository under their tags.
- The site works behind a firewall and tells nobody who reads it: a build whose pages would load something from
  elsewhere fails.
"""

import ast
import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
# file above docs/ -> page of the site
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
}
REFERENCE = "API reference"  # the section of mkdocs.yml that gets a page for each package
PACKAGES = {"ie_model": ROOT, "ie_crowd": ROOT / "cm-repo"}
LINK = re.compile(r"(?<=\]\()([\w./-]+)(?=[)#])")  # to a file here
NO_PAGE = re.compile(r"\[([^\]]*)\]\((?:\.\./)?(?:CITATION\.cff|LICENSE)\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Say at the foot of each page which version it is of, and where those of older ones are."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    config.copyright = f"ie-repr {version}. The documentation of another version is in docs/ of the git tag vVERSION."
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that do not lie under docs/."""
    for name, page in PAGES.items():
        content = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=site_links(content, PurePosixPath())))
    pages = dict(reference())
    for page, content in pages.items():
        files.append(File.generated(config, page, content=content))
    for section in config.nav or []:
        if isinstance(section, dict) and REFERENCE in section:
            section[REFERENCE] = list(pages)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn the links of a file under docs/ that lead above docs/."""
    return site_links(markdown, PurePosixPath("docs")) if page.file.abs_src_path else markdown


def site_links(markdown: str, folder: PurePosixPath) -> str:
    """`markdown` of a file in `folder` of the repository, with links to files above docs/ as the site has them.

    A link to a file that the site does not have becomes its name: the repository has no public address to link to.
    """

    def turned(match: re.Match[str]) -> str:
        target = PurePosixPath("/", folder, match[1])
        parts: list[str] = []
        for part in target.parts[1:]:
            parts = parts[:-1] if part == ".." else [*parts, part]
        if len(parts) == 1 and parts[0] in PAGES:
            return PAGES[parts[0]]
        return "/".join(parts[1:]) if parts[0] == "docs" else match[0]

    return LINK.sub(turned, NO_PAGE.sub(r"\1", markdown))


def reference() -> list[tuple[str, str]]:
    """(page, content) of the API reference: their index, and a page for each package, found by its __init__.py."""
    pages = []
    index = (
        f"# {REFERENCE}\n\nMade from the docstrings. What has none, or starts with `_`, is not meant for others.\n\n"
    )
    for package, place in PACKAGES.items():
        for init in sorted((place / package).rglob("__init__.py")):
            name = ".".join(init.parent.relative_to(place).parts)
            files = [path.stem for path in sorted(init.parent.glob("*.py")) if not path.stem.startswith("__")]
            modules = {file: f"#{name}.{file}" for file in files}
            modules |= {path.parent.name: f"{name}.{path.parent.name}.md" for path in init.parent.glob("*/__init__.py")}
            about = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) or ""
            index += f"- [`{name}`]({name}.md): {about.partition(chr(10))[0]}\n"
            content = f"# {name}\n\n{package_map(about, modules)}\n\n"
            content += "\n".join(f"::: {name}.{file}\n" for file in files)
            pages.append((f"api/{name}.md", content))
    return [("api/index.md", index), *pages]


def package_map(about: str, modules: dict[str, str]) -> str:
    """A docstring of a package as Markdown: columns of names and words become lists, modules links."""

    def item(match: re.Match[str]) -> str:
        module, what = match[1], " ".join(match[2].split())
        target = modules.get(module)
        return f"- [`{module}`]({target}): {what}" if target else f"- `{module}`: {what}"

    # a name, two spaces or more, and text that may go on in lines that are indented
    return re.sub(r"^(\w+) {2,}(\S.*(?:\n +\S.*)*)", item, re.sub(r"(?m)^=[= ]*\n", "", about), flags=re.MULTILINE)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Refuse a page that loads something from elsewhere."""
    foreign = sorted(loaded_from_elsewhere(output))
    if foreign:
        raise PluginError(f"{page.file.src_uri} loads {', '.join(foreign)}: expected files of the site alone")
    return output


def loaded_from_elsewhere(html: str) -> set[str]:
    """Addresses on other hosts that a browser fetches by itself when it shows `html`; links to follow are none."""
    parser = _Loads()
    parser.feed(html)
    return {address for address in parser.addresses if re.match(r"(?:[a-z]+:)?//", address.strip(), re.IGNORECASE)}


class _Loads(HTMLParser):
    """Collects what a page loads: scripts, style sheets, icons, pictures, frames, media."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "srcset", "data", "poster") or (tag == "link" and name == "href"):
                self.addresses.append(value or "")
