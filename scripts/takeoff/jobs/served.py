"""What MLflow runs to serve a network: its file says how the network is built, and has its weights.

MLflow takes this file itself as the model's code, with the modules that it imports beside it; the package need not be
installed where the model is loaded.
"""

import json
from typing import Any

import numpy as np
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class Classifier(PythonModel):
    """A network that tells the classes of images."""

    def load_context(self, context: Any) -> None:
        """Build the network and take its weights from the artifact `weights`."""
        import torch
        from safetensors import safe_open

        from takeoff.engine.network import build
        from takeoff.study.settings import Network

        with safe_open(context.artifacts["weights"], framework="pt") as file:
            about, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        self.scale, self.shift = tensors.pop("scale"), tensors.pop("shift")
        network = Network.model_validate_json(about["network"])
        side, channels, classes = json.loads(about["shape"])
        self.model = build(network, side, channels, classes, 0, torch.device("cpu"))
        self.model.load_state_dict(tensors)
        self.model.eval()

    def predict(self, context: Any, model_input: np.ndarray, params: Any = None) -> np.ndarray:
        """The probability of each class, N × classes, for images N × H × W × C of uint8."""
        import torch

        pixels = torch.from_numpy(model_input.copy()).float() * self.scale + self.shift
        with torch.no_grad():
            return self.model(pixels.permute(0, 3, 1, 2)).softmax(dim=1).numpy()


set_model(Classifier())
