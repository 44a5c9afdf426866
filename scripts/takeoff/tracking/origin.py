"""Where an import comes from: the command and the git commit, as MLflow's tags."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]


def origin_tags(root: Path = ROOT) -> dict[str, str]:
    """MLflow's source tags; those about git only where `root` is a git checkout with a commit."""
    tags = {"mlflow.source.name": "scripts/track.py", "mlflow.source.type": "LOCAL"}
    commit = _git(root, "rev-parse", "HEAD") if (root / ".git").exists() else None
    if commit:
        tags["mlflow.source.git.commit"] = commit
        tags["takeoff.dirty"] = "true" if _git(root, "status", "--porcelain") else "false"
    return tags


def _git(root: Path, *arguments: str) -> str | None:
    """What git prints, or None where git is missing or refuses."""
    command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
