"""Makes an MLflow experiment hold exactly the given entries: creates, replaces and deletes runs; twice is as once.

Params are immutable and metrics append-only in MLflow, so a run that changed is deleted and made anew. A run is
finished last: one that is not was left half-made by an import that was killed, and is made anew too.
"""

import json
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from takeoff.common.machine import commit
from takeoff.common.places import ROOT
from takeoff.tracking.entries import Entry, Key, Only, key_of
from takeoff.tracking.models import delete_models, log_model

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Run

DIGEST = "takeoff.digest"
PARENT = "mlflow.parentRunId"
FINISHED = "FINISHED"
FEW = 4
"""Trainings that wait for each thread, at most: an entry holds its curves."""
PAGE = 1000
"""Runs read at a time."""


class Importer:
    """Brings one MLflow experiment in step with entries; `gone` names the runs that the study no longer has."""

    def __init__(self, client: "MlflowClient", experiment_id: str, card: Mapping[str, Any], at_once: int = 1) -> None:
        """The dataset's `card` becomes an input of every run; so many trainings are logged at once."""
        self.client = client
        self.experiment_id = experiment_id
        self.at_once = at_once
        self.card, self.inputs = card, dataset_inputs(card)
        self.origin = origin_tags()
        self.counts = dict.fromkeys(("created", "updated", "unchanged", "deleted"), 0)
        self.gone: list[str] = []
        self._counting = Lock()

    def bring_in_step(self, entries: Iterable[Entry], only: Only | None = None) -> None:
        """Log `entries`, parents first, and delete what this command logged once and is among them no longer, unless
        they are `only` some of what the study has.
        """
        present = self._present()
        ids: dict[Key, str] = {}
        with ThreadPoolExecutor(self.at_once, "import") as pool:
            logged: deque[Future[str]] = deque()
            for entry in entries:
                parent = {PARENT: ids[entry.parent]} if entry.parent else {}
                known = present.pop(entry.key, [])
                if entry.parent and self.at_once > 1:  # no other run waits for a training's
                    logged.append(pool.submit(self._log, entry, parent, known))
                    if len(logged) > FEW * self.at_once:
                        logged.popleft().result()
                else:
                    ids[entry.key] = self._log(entry, parent, known)
            for one in logged:
                one.result()
        if only == "finished":
            return
        for (role, _, _), runs in present.items():
            if only == "runs" and role == "experiment":
                continue
            self._delete(runs)
            self.counts["deleted"] += len(runs)
            self.gone += [run.info.run_name for run in runs]

    def _log(self, entry: Entry, parent: dict[str, str], known: list["Run"]) -> str:
        """The id of the entry's run, which is among those `known` or made; the others of these are deleted."""
        current = next((run for run in known if _whole(run, entry.digest)), None)
        if current:
            run_id = current.info.run_id
            if parent and current.data.tags.get(PARENT) != parent[PARENT]:
                self.client.set_tag(run_id, PARENT, parent[PARENT])
        else:
            run_id = self._create(entry, parent)
        with self._counting:
            self.counts["unchanged" if current else "updated" if any(map(_whole, known)) else "created"] += 1
        self._delete(run for run in known if run is not current)
        return run_id

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
        if entry.weights:
            log_model(self.client, self.experiment_id, run_id, entry.name, entry.weights, self.card)
        self.client.set_terminated(run_id, FINISHED, entry.end)
        return run_id

    def _delete(self, runs: Iterable["Run"]) -> None:
        for run in runs:
            if run.data.tags["takeoff.role"] == "arm":
                delete_models(self.client, self.experiment_id, run.info.run_id)
            self.client.delete_run(run.info.run_id)


def _whole(run: "Run", digest: str | None = None) -> bool:
    """Whether an import made all of the run, from what has this digest."""
    return run.info.status == FINISHED and digest in (None, run.data.tags.get(DIGEST))


def origin_tags(root: Path = ROOT) -> dict[str, str]:
    """MLflow's source tags; those about git only where `root` is a git checkout with a commit."""
    tags = {"mlflow.source.name": "scripts/track.py", "mlflow.source.type": "LOCAL"}
    if found := commit(root):
        tags |= {"mlflow.source.git.commit": found[0], "takeoff.dirty": str(found[1]).lower()}
    return tags


def dataset_inputs(card: Mapping[str, Any]) -> list["DatasetInput"]:
    """The training and the test images as MLflow's dataset inputs, each with the digest of both."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    address = next(iter(card.get("addresses") or ()), None)
    source = {"url": address} if address else {"uri": (card.get("archive") or {}).get("name")}
    about = ("title", "resolution", "channels", "licence", "citation")
    profile = {"num_classes": len(card.get("classes", ()))} | {key: card[key] for key in about if card.get(key)}

    def images(split: str) -> Dataset:
        return Dataset(
            name=f"{card['dataset']}-{card['resolution']}px-{split}",
            digest=card["digest"][:16],
            source_type="http" if address else "local",
            source=json.dumps(source),
            profile=json.dumps({"num_rows": card.get("images", {}).get(split), **profile}),
        )

    contexts = {"train": "training", "test": "testing"}
    tags = {split: [InputTag("mlflow.data.context", context)] for split, context in contexts.items()}
    return [DatasetInput(images(split), own) for split, own in tags.items()]
