"""Makes an MLflow experiment hold exactly the given entries: creates, replaces and deletes runs; twice is as once.

Params are immutable and metrics append-only in MLflow, so a run that changed is deleted and made anew. A run is
finished last: one that is not was left half-made by an import that was killed, and is made anew too.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from takeoff.tracking.entries import Entry, Key, key_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Run

DIGEST = "takeoff.digest"
PARENT = "mlflow.parentRunId"
FINISHED = "FINISHED"
PAGE = 1000
"""Runs asked for at a time."""


@dataclass
class Outcome:
    """What an import did, in runs."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    gone: list[str] = field(default_factory=list)
    """Names of the runs deleted because the study has them no longer."""

    @property
    def counts(self) -> dict[str, int]:
        """The numbers alone."""
        return {key: value for key, value in asdict(self).items() if isinstance(value, int)}


class Importer:
    """Brings one MLflow experiment in step with entries."""

    def __init__(
        self, client: "MlflowClient", experiment_id: str, card: Mapping[str, Any], origin: Mapping[str, str]
    ) -> None:
        """The dataset's `card` becomes an input of every run; `origin`, tags of the runs that are made."""
        self.client = client
        self.experiment_id = experiment_id
        self.inputs = dataset_inputs(card)
        self.origin = dict(origin)

    def bring_in_step(self, entries: Iterable[Entry], left: Collection[str] = ()) -> Outcome:
        """Log `entries`, parents first, and delete what this command logged once and is among them no longer; runs
        with a role in `left` stay.
        """
        outcome = Outcome()
        present = {key: runs for key, runs in self._present().items() if key[0] not in left}
        ids: dict[Key, str] = {}
        for entry in entries:
            parent = {PARENT: ids[entry.parent]} if entry.parent else {}
            known = present.pop(entry.key, [])
            current = next((run for run in known if _whole(run, entry.digest)), None)
            if current:
                ids[entry.key] = current.info.run_id
                if parent and current.data.tags.get(PARENT) != parent[PARENT]:
                    self.client.set_tag(current.info.run_id, PARENT, parent[PARENT])
                outcome.unchanged += 1
            else:
                ids[entry.key] = self._create(entry, parent)
                finished = any(_whole(run) for run in known)
                outcome.updated += finished
                outcome.created += not finished
            self._delete(run for run in known if run is not current)
        for runs in present.values():
            self._delete(runs)
            outcome.deleted += len(runs)
            outcome.gone += [run.info.run_name for run in runs]
        return outcome

    def _present(self) -> dict[Key, list["Run"]]:
        """The experiment's runs that this command made, by what they are about; other people's are left alone."""
        present = defaultdict(list)
        token: str | None = None
        while token != "":
            page = self.client.search_runs([self.experiment_id], max_results=PAGE, page_token=token)
            for run in page:
                if "takeoff.role" in run.data.tags:
                    present[key_of(run.data.tags)].append(run)
            token = page.token or ""
        return present

    def _create(self, entry: Entry, parent: dict[str, str]) -> str:
        from mlflow.entities import Metric, Param

        tags = entry.tags | parent | self.origin | {DIGEST: entry.digest}
        run_id = self.client.create_run(self.experiment_id, entry.start, tags, entry.name).info.run_id
        self.client.log_inputs(run_id, self.inputs)
        # The client itself cuts batches at 1,000 metrics and 100 params.
        metrics = [Metric(p.key, p.value, p.timestamp, p.step) for p in entry.points]
        params = [Param(key, value) for key, value in entry.params.items()]
        self.client.log_batch(run_id, metrics, params)
        for path, file in entry.files.items():
            self.client.log_artifact(run_id, str(file), str(Path(path).parent))
        self.client.set_terminated(run_id, FINISHED, entry.end)
        return run_id

    def _delete(self, runs: Iterable["Run"]) -> None:
        for run in runs:
            self.client.delete_run(run.info.run_id)


def _whole(run: "Run", digest: str | None = None) -> bool:
    """Whether an import made all of the run, from what has this digest."""
    return run.info.status == FINISHED and digest in (None, run.data.tags.get(DIGEST))


def dataset_inputs(card: Mapping[str, Any]) -> list["DatasetInput"]:
    """The training and the test images as MLflow's dataset inputs, each with the digest of both."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    address = next(iter(card.get("addresses") or ()), None)
    kind, source = (
        ("http", {"url": address}) if address else ("local", {"uri": (card.get("archive") or {}).get("name")})
    )
    about = {
        key: card[key] for key in ("title", "resolution", "channels", "licence", "citation") if card.get(key)
    }
    inputs = []
    for split, context in (("train", "training"), ("test", "testing")):
        profile = {
            "num_rows": card.get("images", {}).get(split),
            "num_classes": len(card.get("classes", ())),
        } | about
        dataset = Dataset(
            name=f"{card['dataset']}-{card['resolution']}px-{split}",
            digest=card["digest"][:16],
            source_type=kind,
            source=json.dumps(source),
            profile=json.dumps(profile),
        )
        inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", context)]))
    return inputs
