"""The engine's gradient descent: that of torch's own class, without what that class imports."""

import copy
import subprocess
import sys

import pytest
import torch
from conftest import SCRIPTS
from takeoff.engine.descent import Descent
from takeoff.engine.fused import _blocks
from takeoff.study.settings import Recipe
from torch import nn


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize(("momentum", "weight_decay"), [(0.9, 0.0005), (0.5, 0.1), (0.0, 0.01), (0.9, 0.0)])
def test_steps_are_those_of_torchs_own_class(momentum: float, weight_decay: float, layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 5))
    model = model.to(memory_format=layout)
    other = copy.deepcopy(model)
    recipe = Recipe(momentum=momentum, weight_decay=weight_decay)
    descent = Descent.of(model, recipe)
    groups = [
        {"params": [p for p in other.parameters() if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in other.parameters() if p.ndim == 1]},
    ]
    theirs = torch.optim.SGD(groups, lr=1.0, momentum=momentum)
    for step in range(5):
        rate = 0.1 / (step + 1)
        for group in theirs.param_groups:
            group["lr"] = rate
        images = torch.randn(8, 3, 8, 8)
        for network in (model, other):
            network.zero_grad()
            network(images).square().mean().backward()
        descent.step([parameter.grad for parameter in descent.parameters], rate)
        theirs.step()
    for own, expected in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(own, expected)


def test_a_gradient_may_lie_in_memory_as_its_weights_do_not() -> None:
    """Torch's fused function alone would pair the numbers wrongly."""
    layer = nn.Conv2d(3, 4, 3, bias=False).to(memory_format=torch.channels_last)
    descent = Descent.of(layer, Recipe(momentum=0.0, weight_decay=0.0))
    gradient = torch.randn(4, 3, 3, 3)
    expected = layer.weight.detach() - 0.1 * gradient
    descent.step([gradient], 0.1)
    torch.testing.assert_close(layer.weight.detach(), expected)


def test_a_job_imports_neither_the_compiler_nor_what_others_need(digits, write_study, plan_arms, tmp_path) -> None:
    plan_arms(write_study(), tmp_path)
    runs = tmp_path / "arms" / "relu+batch" / "runs.parquet"
    words = ["train", "--data", digits, "--device", "cpu", runs]
    heavy = {"torch._dynamo", "torch._inductor", "torchvision", "mlflow", "seaborn", "sklearn"}
    heavy |= {"takeoff.experiments", "takeoff.workflow"}
    code = (
        f"import runpy, sys; sys.path.insert(0, {str(SCRIPTS)!r}); sys.argv = {list(map(str, words))}; "
        f"runpy.run_path({str(SCRIPTS / 'train.py')!r})['main'](); "
        f"found = {heavy} & set(sys.modules); print(found, file=sys.stderr); sys.exit(bool(found))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert runs.exists()


def test_runs_with_one_rate_are_changed_at_once_and_tensors_are_not_waited_for() -> None:
    one, other = torch.tensor(0.1), torch.tensor(0.1)
    assert list(_blocks([0.1, 0.1, 0.2])) == [(0, 2), (2, 3)]
    assert list(_blocks([one, one, other])) == [(0, 2), (2, 3)]
    assert list(_blocks([one])) == [(0, 1)]
