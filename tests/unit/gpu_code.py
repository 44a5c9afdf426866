"""The code that Inductor makes of a traced step for a GPU of compute capability 9.0, where there is none.

python tests/unit/gpu_code.py

Says of a fused step of three networks, which have every kind of layer, its backward pass too, into how many kernels
Inductor puts its operations, what they were compiled for by Triton, down to machine code, and the kinds of number that
they compute with; then of one that was made to compute in float64. A process of its own: torch and Triton are told that
there is a GPU.
"""

import json
import re
from functools import partial
from types import SimpleNamespace

import torch
import triton
from gpu_steps import GPU, IMAGES, NETWORKS, SIDE, WORDS, arm_of, built, gradients, moved, noise, pretend
from takeoff.engine import fused, layers, state
from takeoff.engine.dataset import Dataset
from takeoff.engine.fused import FusedStep
from takeoff.engine.state import Training
from takeoff.study.arms import Arm, Run
from torch import Tensor, fx
from torch._inductor import async_compile, compile_fx, config, graph
from torch._inductor.codecache import PyCodeCache
from torch._inductor.decomposition import select_decomp_table
from torch._inductor.runtime import triton_helpers
from torch._inductor.runtime.hints import DeviceProperties
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import tree_leaves
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

TARGET = GPUTarget("cuda", 90, 32)
LEVELS = dict(zip(WORDS, NETWORKS, strict=True))
TRIED = ["norm, dropout, colour", "tanh, response norm", "plain with norm"]
"""Networks with every kind of layer: a second for every two kernels."""
MOST = {"multi_processor_count": 132, "max_threads_per_multi_processor": 2048, "regs_per_multiprocessor": 65536}
"""Of an H100."""


def main() -> None:
    """Compile three networks' steps, and one that computes in float64."""
    images = noise(IMAGES, SIDE, 3)
    pretend()
    pretend_to_the_compiler()
    for words in TRIED:
        print(words, json.dumps(compiled(images, arm_of(LEVELS[words]))), sep="\t")
    fused.flattened_apart = lambda maps, runs: layers.flattened_apart(maps.double().sin(), runs)
    print("float64", json.dumps(compiled(images, arm_of(LEVELS[words]))), sep="\t")


def compiled(images: Dataset, arm: Arm) -> dict:
    """Operations of a step on the GPU, the kernels that they became, and what those were compiled for."""
    kernels: dict[str, str] = {}
    async_compile.AsyncCompile.triton = lambda own, name, source, **_: kernels.update({name: source})
    operations = lowered(images, arm)
    code = [machine_code(*kernel) for kernel in kernels.items()]
    return {
        "operations": operations,
        "kernels": len(code),
        "targets": sorted({re.search(r"^\.target (\S+)", own["ptx"], re.MULTILINE)[1] for own in code}),
        "cubins": sum(own["cubin"].startswith(b"\x7fELF") for own in code),
        "kinds": sorted({kind for own in code for kind in re.findall(r"\.(f64|f32|bf16)", own["ptx"])}),
    }


def lowered(images: Dataset, arm: Arm) -> int:
    """Have Inductor make the code of a forward and a backward pass; how many operations they have."""
    with FakeTensorMode(allow_non_fake_inputs=True) as fake:
        state.build = partial(built, fake)
        step = FusedStep([Training(moved(images, fake), arm, Run(seed, 0.05), GPU) for seed in range(3)])
        chosen = step.epoch()
        step.feed.advance()
        pixels, labels = step.batch([own.step(0) for own in chosen])
        batch = [pixels, labels, *step._masks(len(pixels))]
        places = [(own, name) for own in step.shared for name in own]
        weights = [own[name] for own, name in places]

        def both(*tensors: Tensor) -> list[Tensor]:
            """The losses, and the gradient of each parameter."""
            for (own, name), tensor in zip(places, tensors[len(batch) :], strict=True):
                own[name] = tensor
            losses = FusedStep._losses(step, tensors[0], tensors[1], tensors[2 : len(batch)])
            return [losses, *gradients(losses.sum(), [own for own in tensors[len(batch) :] if own.requires_grad])]

        traced = make_fx(both, decomposition_table=select_decomp_table(), tracing_mode="fake")(*batch, *weights)
    return generated(traced, fake)


def generated(traced: fx.GraphModule, fake: FakeTensorMode) -> int:
    """Give a traced graph to Inductor, and its code to whoever compiles kernels."""
    nodes = list(traced.graph.nodes)
    values = [node.meta.get("val") for node in nodes if node.op == "call_function"]
    placeholders = [node.meta["val"] for node in nodes if node.op == "placeholder"]
    nodes[-1].args = (tuple(tree_leaves(nodes[-1].args[0])),)
    traced.graph.set_codegen(fx.graph.CodeGen())
    traced.recompile()
    with fake:
        compile_fx.compile_fx_inner(traced, placeholders)
    return sum(isinstance(value, Tensor) and value.is_cuda for value in values)


def machine_code(name: str, source: str) -> dict:
    """What Triton makes of a kernel, without a driver."""
    kernel = getattr(PyCodeCache.load(source), name)
    meta = kernel._create_compile_meta(kernel.configs[0])
    options = kernel._create_compile_options(kernel.configs[0], meta)
    written = ASTSource(kernel.fn, meta["signature"], meta["constants"], meta["configs"][0])
    return triton.compile(written, target=TARGET, options=options).asm


def pretend_to_the_compiler() -> None:
    """Stand in for what only a driver knows, or does; of the code that is made, read no more than its kernels."""
    machine = SimpleNamespace(name="a GPU", major=9, minor=0, total_memory=80 * 2**30, **MOST)
    there = {
        "get_device_properties": lambda device=None: machine,
        "get_device_capability": lambda device=None: (9, 0),
        "get_rng_state": lambda device=None: torch.zeros(16, dtype=torch.uint8),
        "set_rng_state": lambda state, device=None: None,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "_exchange_device": lambda device: 0,
        "_maybe_exchange_device": lambda device: 0,
        "_lazy_init": lambda: None,
    }
    for name, stand_in in there.items():
        setattr(torch.cuda, name, stand_in)
    limits = {"max_shared_mem": 232_448, "multiprocessor_count": 132, "warpSize": 32}
    driver = {
        "get_current_target": lambda: TARGET,
        "get_current_device": lambda: 0,
        "get_current_stream": lambda device: 0,
        "get_active_torch_device": lambda: GPU.device,
        "utils": SimpleNamespace(get_device_properties=lambda device: limits),
    }
    triton.runtime.driver.set_active(SimpleNamespace(**driver))
    triton_helpers.set_driver_to_gpu = lambda: None

    def properties(device: torch.device) -> DeviceProperties:
        own = {"cc": 90, "major": 9, "warp_size": 32, "max_threads_per_block": 1024, **MOST}
        return DeviceProperties(type="cuda", index=0, **own)

    DeviceProperties.create = properties
    config.fx_graph_cache = False
    graph.GraphLowering.compile_to_module = read


def read(lowering: graph.GraphLowering) -> SimpleNamespace:
    """Run the head of the code, which names the kernels."""
    wrapper, _ = lowering.codegen()
    exec(wrapper.value.partition("async_compile.wait(globals())")[0], {"__name__": "generated"})
    return SimpleNamespace(call=lambda arguments: None, __file__="", key="", __path__="")


if __name__ == "__main__":
    main()
