"""Count what a study will train, before it does, and say what it can decide: plan.csv, power.csv, study.json."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from takeoff.common.arguments import positive
from takeoff.common.commands import run_command
from takeoff.common.errors import TakeoffError
from takeoff.common.files import write_json, write_rows
from takeoff.common.places import configured
from takeoff.data.card import load_card
from takeoff.experiments.chance import guessing_lines
from takeoff.experiments.registry import EXPERIMENTS, arms_wanted, check_options, enabled, stale_figures
from takeoff.judging.claims import Claims, claims_file, criteria, fixed_criteria, load_claims
from takeoff.judging.spreads import read_spreads
from takeoff.study.configuration import Configuration
from takeoff.study.loading import load_study, study_path
from takeoff.study.model import Study
from takeoff.study.planned import ARM, AnyPlannedArm, PlannedArm, planned_arms, write_arm
from takeoff.workflow.images import ImageSource, Shape, check_counts
from takeoff.workflow.planning import (
    PlannedRun,
    check_distinct,
    core_hours,
    fit_hours,
    over_budget,
    plan_runs,
    trainings,
    write_plan,
)
from takeoff.workflow.speeds import known, measure
from takeoff.workflow.watching import finished_runs

SHOWN = 100
"""Arms printed, at most."""


def main() -> None:
    """Print the plan, write it, and refuse what exceeds the study's budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=study_path, required=True, help="a name in config/studies, or a path")
    parser.add_argument("--card", type=Path, help="card.json of images that are not in the catalogue")
    parser.add_argument("--out", type=Path, help="where plan.csv goes")
    parser.add_argument("--power-out", type=Path, help="where power.csv goes")
    words = "a table of analyse.py spreads, or a pilot's results folder (default: %(default)s)"
    parser.add_argument("--spreads", type=Path, default=configured("spreads.csv"), help=words)
    parser.add_argument("--study-out", type=Path, help="where the study goes, every key stated")
    parser.add_argument("--criteria-out", type=Path, help="where the claims' criteria go; those already there stay")
    parser.add_argument("--claims", type=Path, default=claims_file(), help="the claims (default: %(default)s)")
    parser.add_argument("--results", type=Path, help="the study's results: how many of its runs are there is said")
    parser.add_argument(
        "--arms-out", type=Path, help="the folder of arms: each goes to <arm>/arm.json, where it changed"
    )
    given = Configuration()
    words = "time steps of the networks that are not known on this machine, on its CPU (default: estimate them)"
    parser.add_argument("--measure", action="store_true", help=words)
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default=given.precision)
    parser.add_argument("--threads", type=positive, default=given.threads, help="of a training job")
    parser.add_argument("--figures", type=Path, help="the folder of figures: those the study no longer has are removed")
    arguments = parser.parse_args()
    path = arguments.study
    study = load_study(path)
    experiments = enabled(study, str(path))
    shape = _shape(study, str(path), arguments.card)
    check_counts(study, str(path), shape)
    card = load_card(arguments.card) if arguments.card else None
    check_options(experiments, str(path), guessing_lines(study, card, shape.classes, shape.train, shape.test))
    arms = planned_arms(study, arms_wanted(experiments, study, str(path)), shape.train)
    check_distinct(arms, shape, str(path))
    machine = Configuration(precision=arguments.precision, threads=arguments.threads)
    networks = [arm for arm in arms if isinstance(arm, PlannedArm)]
    runs = plan_runs(arms, shape, measure(networks, shape, machine) if arguments.measure else known(machine))
    claims = load_claims(arguments.claims, EXPERIMENTS)
    spreads = read_spreads(arguments.spreads)
    from takeoff.workflow.power import planned_parts, power_table  # takes scipy

    parts = planned_parts(study, path.stem, experiments, claims, spreads, shape.train, runs)
    _show(study, runs, arguments.measure)
    for note in card.notes if card else ():
        print(f"images: {note}")
    if arguments.results:
        there = finished_runs(arguments.results, [run.arm for run in runs])
        print(f"{there} of {len(runs)} runs are there already, by their files")
    notes = [note for one in experiments.values() for note in one.notes()]
    print("", *power_table(parts), *([""] if notes else []), *notes, sep="\n")
    sys.stdout.flush()  # what is refused comes after the table
    if excess := over_budget(str(path), runs, study.budget):
        raise TakeoffError(excess)
    _write(arguments, study, experiments, claims, arms, runs, parts)


def _write(
    arguments: argparse.Namespace,
    study: Study,
    experiments: dict[str, Any],
    claims: Claims,
    arms: Sequence[AnyPlannedArm],
    runs: list[PlannedRun],
    parts: Sequence[Any],
) -> None:
    """Every file that is asked for."""
    if arguments.out:
        write_plan(arguments.out, runs)
    if arguments.power_out:
        write_rows(arguments.power_out, parts)
    if arguments.study_out:
        write_json(arguments.study_out, study.model_dump(mode="json"))
    if arguments.criteria_out:
        _write_criteria(arguments.criteria_out, criteria(claims, study, {k: v.options for k, v in experiments.items()}))
    if arguments.arms_out:
        for arm in arms:
            write_arm(arguments.arms_out / arm.name / ARM, arm)
    for figure in stale_figures(arguments.figures, experiments) if arguments.figures else ():
        figure.unlink()
        print(f"removed {figure}, which the study no longer draws")


def _write_criteria(path: Path, planned: dict[str, Any]) -> None:
    """What was written down first stays: a later change shows in the verdicts."""
    first = fixed_criteria(path)
    if planned | first != first:
        write_json(path, planned | first)


def _shape(study: Study, path: str, card: Path | None) -> Shape:
    if card is not None:
        return Shape.of_card(load_card(card))
    shape = ImageSource(study.dataset, {}, Path()).shape
    if shape is None:
        raise TakeoffError(
            f"{path}: dataset.name: {study.dataset.name} is not in the catalogue; valid: --card, with the card.json "
            "that prepare.py writes"
        )
    return shape


def _show(study: Study, runs: list[PlannedRun], measured: bool) -> None:
    arms: dict[str, list[PlannedRun]] = {}
    for run in runs:
        arms.setdefault(run.arm, []).append(run)
    width = max(len(name) for name in arms)
    trained, fitted = trainings(runs), len(runs) - trainings(runs)
    fits = f", and {fitted} fits of older methods" if fitted else ""
    print(f"{study.title}: {len(arms)} arms, {trained} runs{fits}\n")
    print(f"{'arm':{width}}  {'tuning':>6} {'final':>5} {'parameters':>11} {'images':>12} {'GFLOP':>10} {'minutes':>8}")
    for name, mine in list(arms.items())[:SHOWN]:
        tuning, minutes = sum(run.purpose == "tune" for run in mine), sum(run.expected_seconds for run in mine) / 60
        if mine[0].purpose == "fit":
            print(f"{name:{width}}  {'own':>6} {len(mine):5} {'':35} {minutes:8,.1f}")
            continue
        print(
            f"{name:{width}}  {tuning:6} {len(mine) - tuning:5} {mine[0].parameters:11,} "
            f"{sum(run.images or 0 for run in mine):12,} {sum(run.flops or 0 for run in mine) / 1e9:10,.0f} "
            f"{minutes:8,.1f}"
        )
    if len(arms) > SHOWN:
        print(f"and {len(arms) - SHOWN} arms more, all of them in plan.csv")
    print(
        f"\nabout {core_hours(runs):.2f} core-hours of training on this CPU{', by steps timed here' * measured} "
        f"({study.budget.core_hours:g} allowed); {trained} runs ({study.budget.runs} allowed)"
        + f"; besides about {fit_hours(runs):.2f} core-hours of older methods, by their times on the reference machine"
        * (fitted > 0)
    )


if __name__ == "__main__":
    run_command(main)
