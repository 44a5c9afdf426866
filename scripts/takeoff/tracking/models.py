"""The best network of an arm as an MLflow model: with signature and example, it loads and predicts by itself."""

import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from takeoff.common.digests import closure
from takeoff.common.places import PACKAGE
from takeoff.study.weights import described

if TYPE_CHECKING:
    from mlflow import MlflowClient

SERVED = "jobs/served.py"
"""The code of the model; what it imports goes with it."""
NEEDS = ("mlflow", "numpy", "pydantic", "safetensors")
NOT_IN_NAMES = re.compile(r"[/:.%\"']")
"""What MLflow takes in no model's name."""
EXAMPLE = 2
"""Images of an example: of grey, as no image of a data set needs to go along."""


def log_model(
    client: "MlflowClient", experiment: str, run: str, name: str, weights: Path, card: Mapping[str, Any]
) -> None:
    """Log the network with these `weights` as a model of `run`; `card` is that of its images."""
    import numpy as np
    from mlflow import pyfunc
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    about = described(weights) or {}
    side, channels, classes = json.loads(about["shape"])
    images = TensorSpec(np.dtype("uint8"), (-1, side, side, channels))
    probabilities = TensorSpec(np.dtype("float32"), (-1, classes))
    with tempfile.TemporaryDirectory() as place:
        code, folder = Path(place) / "code" / "takeoff", Path(place) / "model"
        for path in ("__init__.py", *closure(SERVED)):
            (code / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PACKAGE / path, code / path)
        pyfunc.save_model(
            str(folder),
            python_model=str(PACKAGE / SERVED),
            artifacts={"weights": str(weights)},
            code_paths=[str(code)],
            signature=ModelSignature(Schema([images]), Schema([probabilities])),
            input_example=np.full((EXAMPLE, side, side, channels), 128, dtype=np.uint8),
            pip_requirements=[f"torch=={about['torch']}", *(f"{one}=={version(one)}" for one in NEEDS)],
            metadata={"classes": card["classes"], "seed": about["seed"]},
        )
        made = client.create_logged_model(
            experiment, name=NOT_IN_NAMES.sub("_", name), source_run_id=run, model_type="network"
        )
        client.log_model_artifacts(made.model_id, str(folder))
        client.finalize_logged_model(made.model_id, LoggedModelStatus.READY)
    client.log_outputs(run, [LoggedModelOutput(made.model_id, step=0)])


def delete_models(client: "MlflowClient", experiment: str, run: str) -> None:
    """Delete the models of a run."""
    for model in client.search_logged_models([experiment], f"source_run_id = '{run}'"):
        client.delete_logged_model(model.model_id)
