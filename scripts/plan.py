"""Count what a study will train, before it does: plan.csv, study.json, and a table to read."""

import argparse
from pathlib import Path

from takeoff.arguments import study_file
from takeoff.data.catalogue import entries
from takeoff.errors import TakeoffError, run_command
from takeoff.experiments.registry import arms_of, criteria, notes
from takeoff.files import load_json, write_json
from takeoff.planning import (
    PlannedRun,
    Shape,
    core_hours,
    matrix_rate,
    over_budget,
    plan_runs,
    shape_of,
    trainings,
    write_plan,
)
from takeoff.study.loading import load_study
from takeoff.study.model import Study

SHOWN = 100
"""Arms printed, at most."""


def main() -> None:
    """Print the plan, write it, and refuse what exceeds the study's budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=study_file, required=True, help="a name in config/studies, or a path")
    parser.add_argument("--card", type=Path, help="card.json of images that are not in the catalogue")
    parser.add_argument("--out", type=Path, help="where plan.csv goes")
    parser.add_argument("--study-out", type=Path, help="where the study goes, every key stated")
    parser.add_argument(
        "--criteria-out", type=Path, help="where the claims' criteria go; those already there stay"
    )
    arguments = parser.parse_args()
    path = arguments.study
    study = load_study(path)
    arms = arms_of(study, str(path))
    runs = plan_runs(study, arms, _shape(study, arguments.card), matrix_rate())
    _show(study, str(path), runs)
    excess = over_budget(runs, study.budget)
    if excess:
        raise TakeoffError(
            f"{path}: the study exceeds its budget: {excess}; raise the budget or ask for less"
        )
    if arguments.out:
        write_plan(arguments.out, runs)
    if arguments.study_out:
        write_json(arguments.study_out, study.model_dump(mode="json"))
    if arguments.criteria_out:
        # What was written down first stays: a later change shows in the verdicts.
        first = load_json(arguments.criteria_out) if arguments.criteria_out.exists() else {}
        write_json(arguments.criteria_out, criteria(study, str(path)) | first)


def _shape(study: Study, card: Path | None) -> Shape:
    if card is not None:
        from takeoff.data.card import load_card

        found = load_card(card, "images", "classes", "channels")
        return Shape(found["images"]["train"], len(found["classes"]), found["channels"])
    return shape_of(entries()[study.dataset.name], study)


def _show(study: Study, source: str, runs: list[PlannedRun]) -> None:
    arms: dict[str, list[PlannedRun]] = {}
    for run in runs:
        arms.setdefault(run.arm, []).append(run)
    width = max(len(name) for name in arms)
    trained, fitted = trainings(runs), len(runs) - trainings(runs)
    fits = f", and {fitted} fits of older methods" if fitted else ""
    print(f"{study.title}: {len(arms)} arms, {trained} runs{fits}\n")
    print(
        f"{'arm':{width}}  {'tuning':>6} {'final':>5} {'parameters':>11} {'images':>12} {'GFLOP':>10} {'minutes':>8}"
    )
    for name, mine in list(arms.items())[:SHOWN]:
        tuning = sum(run.purpose == "tune" for run in mine)
        if mine[0].purpose == "fit":
            print(f"{name:{width}}  {'own':>6} {len(mine):5}")
            continue
        print(
            f"{name:{width}}  {tuning:6} {len(mine) - tuning:5} {mine[0].parameters:11,} "
            f"{sum(run.images or 0 for run in mine):12,} {sum(run.flops or 0 for run in mine) / 1e9:10,.0f} "
            f"{sum(run.expected_seconds or 0 for run in mine) / 60:8,.1f}"
        )
    if len(arms) > SHOWN:
        print(f"… and {len(arms) - SHOWN} arms more, all of them in plan.csv")
    print(
        f"\nabout {core_hours(runs):.2f} core-hours of training on this CPU, to a factor of two "
        f"({study.budget.core_hours:g} allowed); {trained} runs ({study.budget.runs} allowed)"
        + f"; the {fitted} fits are not timed beforehand"
        * (fitted > 0)
    )
    if lines := notes(study, source):
        print("", *lines, sep="\n")


if __name__ == "__main__":
    run_command(main)
