"""Pages of the site that no file in docs/ holds: those at the root of the repository, every option
of `sparring train`, and the public names of the package. A hook of `mkdocs.yml`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from mkdocs.structure.files import File, Files

import sparring
from sparring.cli.options import Option
from sparring.cli.train_options import train_form

ROOT: Final = Path(__file__).parents[1]
PAGES: Final = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
LINK: Final = re.compile(r"(!?)\[([^]]*)\]\(([^)\s:]+?)(#[^)]*)?\)")  # of files, not addresses


def on_files(files: Files, config: Any) -> Files:
    """Add the pages."""
    texts = {page: as_page((ROOT / name).read_text()) for name, page in PAGES.items()}
    for page, text in {**texts, "options.md": options(), "api.md": names()}.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links of docs/ that leave it become plain text, or the page that the site has of the file."""
    return LINK.sub(_inside, markdown) if page.file.src_uri not in PAGES.values() else markdown


def as_page(markdown: str) -> str:
    """A page of the root with links as seen from docs/."""
    return LINK.sub(lambda link: _linked(link, link[3]), markdown)


def _inside(link: re.Match[str]) -> str:
    if link[3].startswith("../"):
        return _linked(link, link[3].removeprefix("../"))
    return link[0]


def _linked(link: re.Match[str], path: str) -> str:
    """The link to a file of the repository, as the site has it."""
    page = path.removeprefix("docs/") if path.startswith("docs/") else PAGES.get(path)
    if page is None:
        return f"{link[2]} (`{path}`)"
    return f"{link[1]}[{link[2]}]({page}{link[4] or ''})"


def options() -> str:
    """Every option of `sparring train`, with its default without a preset, in groups."""
    return "".join(_options())


def _options() -> Iterator[str]:
    yield (
        "# Every option\n\nThe options of `sparring train`, which are also keywords of `train_dqn` "
        "and settings of a configuration file, with hyphens as underscores.\n"
        "Defaults are those without a preset (`--preset none`); "
        "`sparring train GAME --preset NAME --help-all` shows those of a preset.\n"
    )
    for title, group in train_form().groups.items():
        heading = "General options" if title == "options" else title.capitalize()
        yield f"\n## {heading}\n\n| option | default | meaning |\n|---|---|---|\n"
        yield from map(_row, group)


def _row(option: Option) -> str:
    shown = f"{option.flag} {option.metavar}".strip().replace("|", " or ")
    meaning = option.help.replace("|", " or ").replace("<", "&lt;")
    default = f"`{option.default}`" if option.default else ""
    return f"| `{shown}` | {default} | {meaning} |\n"


def names() -> str:
    """The public names, for mkdocstrings."""
    homes = sorted(sparring._HOMES.items())
    parts = [f"::: {home}.{name}\n    options:\n      heading_level: 2\n" for name, home in homes]
    return "# Python\n\nAll names can be imported from `sparring`.\n\n" + "\n".join(parts)
