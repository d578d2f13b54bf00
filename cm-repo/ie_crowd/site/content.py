"""What a challenge's folder says: rules, claims, published numbers, and the words of the pages about its paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ie_crowd.challenge import captions, claims, paper_pages
from ie_crowd.challenge import load as challenge_load
from ie_crowd.challenge.claims import Claim
from ie_crowd.challenge.model import Challenge
from ie_crowd.challenge.paper_pages import Words


@dataclass(frozen=True)
class Content:
    """``challenges``: by id, the pages' own first: what may be uploaded. The rest is about the pages' own."""

    challenges: dict[str, Challenge]
    challenge: Challenge
    claims: tuple[Claim, ...]
    published: tuple[paper_pages.Published, ...]
    words: Words
    captions: captions.Captions

    def files(self) -> dict[str, Path]:
        """The pictures of the pages, by the names of assets."""
        return {
            f"figure-{figure.file}": self.challenge.folder / "figures" / figure.file for figure in self.words.figures
        }


def load(folders: Sequence[Path] = ()) -> Content:
    """Read the challenges of the folders, by default the one that comes along. Raises ValueError of one line."""
    all_rules = [challenge_load.challenge(folder) for folder in folders or _coming_along()]
    challenge = all_rules[0]
    return Content(
        challenges={one.id: one for one in all_rules},
        challenge=challenge,
        claims=claims.load(challenge.folder, challenge),
        published=paper_pages.published(challenge.folder),
        words=paper_pages.load(challenge.folder),
        captions=captions.load(challenge.folder),
    )


def _coming_along() -> list[Path]:
    """The challenges that come along with the library, by name: those of the first place that holds any."""
    for home in challenge_load.homes():
        found = [path.parent for path in sorted(home.glob("*/rules.yaml"))]
        if found:
            return found
    raise ValueError("no challenge comes along here; pass --challenge=FOLDER")
