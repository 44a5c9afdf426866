"""The commands of an installed package: `takeoff plan` is what `python scripts/plan.py` is in a clone."""

import runpy
import sys

from takeoff.common.places import SCRIPTS
from takeoff.common.spelling import choices


def main() -> None:
    """Run the command that the first argument names, with the other arguments."""
    names = sorted(path.stem for path in SCRIPTS.glob("*.py"))
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in {"-h", "--help"}:
        print(f"usage: takeoff COMMAND ...\n\nCommands, each with a --help of its own: {', '.join(names)}")
    elif name not in names:
        sys.exit(f"error: {name}: no such command; {choices(name, names)}")
    else:
        sys.argv[:2] = [f"takeoff {name}"]
        runpy.run_path(str(SCRIPTS / f"{name}.py"), run_name="__main__")


if __name__ == "__main__":
    main()
