"""The reproducibility card: what another laboratory needs to know to do the study again, in a page."""

import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from takeoff.common.machine import commit, cores_at_hand, cpu_name
from takeoff.common.table_files import read_table
from takeoff.reporting.found import table_at
from takeoff.study.model import Study

PACKAGES = ("torch", "numpy", "pandas", "scikit-learn", "scipy", "snakemake")
"""Whose versions matter to a number."""
Row = tuple[str, str]


def card_rows(folder: Path, study: Study, images: Mapping[str, Any]) -> list[Row]:
    """What was done, a row per subject: of the study, its images (their `card.json`), its runs and this machine."""
    runs, plan = _runs(folder), table_at(folder / "plan.csv", "arm")
    return [*_about(folder, study, images, runs), *_search(study), *_computation(plan, runs), *_machine(runs)]


def _about(folder: Path, study: Study, images: Mapping[str, Any], runs: pd.DataFrame) -> Iterator[Row]:
    yield "study", f"`{folder.name}`: {study.title}"
    if len(runs) and "started_at" in runs:
        first, last = (str(value)[:10] for value in (runs["started_at"].min(), runs["started_at"].max()))
        yield "trained", first if first == last else f"{first} to {last}"
    side, counts = images.get("resolution"), images.get("images", {})
    source = next(iter(images.get("addresses") or ()), None) or (images.get("archive") or {}).get("name")
    yield "images", f"{images.get('title') or study.dataset.name}, {side} px, {len(images.get('classes', ()))} classes"
    yield "their source", f"{source or 'your own folder'}, licence {images.get('licence') or 'not stated'}"
    if notes := images.get("notes"):
        yield "how they were read", "; ".join(map(str, notes))
    yield "their digest", f"`{str(images.get('digest', ''))[:16]}`"
    total, share = study.dataset.train_samples, study.dataset.validation_fraction
    used = counts.get("train", 0) if total == "all" else total
    tested = counts.get("test", 0) if study.dataset.test_samples == "all" else study.dataset.test_samples
    yield (
        "splits",
        f"{used:,} to learn from, {share:.0%} of them for validation; {tested:,} for the test, read once a run",
    )
    network, recipe = study.network, study.recipe
    stride = network.stride_at(study.dataset.resolution)
    words = f", first convolution of stride {stride}" * (stride is not None)
    yield "network", f"{network.family}, width {network.width:g}{words}"
    own = f"{recipe.epochs} epochs in batches of {recipe.batch_size}, momentum {recipe.momentum:g}"
    yield "training", f"{own}, {recipe.schedule} schedule, augmentation {recipe.augmentation}"


def _search(study: Study) -> Iterator[Row]:
    tuning = study.tuning
    rates = ", ".join(f"{rate:g}" for rate in tuning.learning_rates)
    decays = ", ".join(f"{decay:g}" for decay in tuning.weight_decays or [study.recipe.weight_decay])
    yield "search", f"learning rates {rates}; weight decays {decays}; chosen on validation images, for every arm alike"
    blocks = f"{tuning.blocks} block{'s' * (tuning.blocks > 1)} of final seeds, each with {tuning.seeds} tuning seed"
    length = "as long as final runs" if tuning.share == 1 else f"{tuning.share:.0%} as long as final runs"
    if tuning.decay_share not in {None, tuning.share}:
        length += f", those that choose weight decays {tuning.decay_share:.0%}"
    yield "tuning runs", f"{blocks}{'s' * (tuning.seeds > 1)} of its own, {length}"
    seeds = study.seed_list
    yield "final seeds", f"{len(seeds)}: {', '.join(map(str, seeds))}"


def _computation(plan: pd.DataFrame, runs: pd.DataFrame) -> Iterator[Row]:
    if {"purpose", "flops"} <= set(plan):
        counts = plan["purpose"].value_counts()
        words = {"tune": "tuning runs", "final": "final runs", "fit": "fits of older methods"}
        parts = [f"{counts[key]} {word}" for key, word in words.items() if key in counts]
        yield "runs", ", ".join(parts)
        yield "computation", f"{plan['flops'].sum():.3g} floating-point operations of networks"
    if len(runs) and "seconds" in runs:
        hours = runs["seconds"].sum() / 3600
        spent = f"{hours:.1f} core-hours" if hours >= 1 else f"{60 * hours:.1f} core-minutes"
        yield "time", f"{spent} of final runs, as they were timed"
    yield "energy", "not measured"


def _machine(runs: pd.DataFrame) -> Iterator[Row]:
    if len(runs) and {"device", "precision"} <= set(runs):
        for (device, precision), own in runs.groupby(["device", "precision"]):
            yield "trained on", f"{device}, {precision} ({len(own)} final runs)"
    yield "analysed on", f"{cpu_name()}, {cores_at_hand()} cores, {platform.system()}"
    found = commit()
    yield "code", f"`{found[0][:12]}`{', with changes' * found[1]}" if found else "no git checkout"
    yield "versions", ", ".join([f"Python {platform.python_version()}", *_versions()])


def _versions() -> Iterator[str]:
    for package in PACKAGES:
        try:
            yield f"{package} {version(package)}"
        except PackageNotFoundError:
            continue


def _runs(folder: Path) -> pd.DataFrame:
    columns = ["device", "precision", "seconds", "started_at"]
    tables = [read_table(path) for path in sorted((folder / "arms").glob("*/runs.parquet"))]
    kept = [table[[name for name in columns if name in table]] for table in tables]
    return pd.concat(kept, ignore_index=True) if kept else pd.DataFrame()
