"""Where the repository's files are."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
ASSETS = ROOT / "assets"
CONFIGS = ROOT / "configs"
