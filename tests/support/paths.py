"""Where things lie: the checkout, the tests' data and the small challenge that is not ie-repr."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SUPPORT = ROOT / "tests" / "support"
DATA = ROOT / "tests" / "data"
TOY = SUPPORT / "toy_challenge"
RECIPES = ROOT / "script"
