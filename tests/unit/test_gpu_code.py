"""Code for a GPU of compute capability 9.0 from torch.compile, made without one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
NETWORKS = {"norm, dropout, colour", "tanh, response norm", "plain with norm"}


def test_each_networks_step_becomes_few_kernels_of_the_gpus_own_code(tmp_path: Path) -> None:
    """Its backward pass, too; none computes in float64, which GPUs do slowly, but the one that was made to."""
    script = Path(__file__).with_name("gpu_code.py")
    caches = {"TORCHINDUCTOR_CACHE_DIR": f"{tmp_path}/inductor", "TRITON_CACHE_DIR": f"{tmp_path}/triton"}
    how = {"env": os.environ | caches, "capture_output": True, "text": True, "timeout": 900}
    done = subprocess.run([sys.executable, script], check=False, **how)
    assert done.returncode == 0, done.stderr
    found = {name: json.loads(code) for name, code in (line.split("\t") for line in done.stdout.splitlines())}
    assert "f64" in found.pop("float64")["kinds"]
    assert set(found) == NETWORKS
    for code in found.values():
        assert code["targets"] == ["sm_90a"]
        assert code["kinds"] == ["bf16", "f32"]
        assert code["cubins"] == code["kernels"] < code["operations"] / 5
