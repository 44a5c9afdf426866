"""A stand-in for NVIDIA's driver: a shared library that shows GPUs, and does nothing else."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

SOURCE = """
#include <string.h>
static const char *names[] = {%(names)s};
static const int major[] = {%(majors)s}, minor[] = {%(minors)s};
int cuInit(unsigned flags) { return %(init)d; }
int cuDriverGetVersion(int *out) { *out = %(version)d; return 0; }
int cuDeviceGetCount(int *out) { *out = %(count)d; return %(counting)d; }
int cuDeviceGet(int *out, int number) { *out = number; return 0; }
int cuDeviceGetName(char *out, int size, int number) { strncpy(out, names[number], size); return 0; }
int cuDeviceGetAttribute(int *out, int which, int number) {
  *out = which == 75 ? major[number] : which == 76 ? minor[number] : which == 20 ? %(mode)d : -1;
  return 0;
}
int cuGetErrorString(int error, const char **out) { *out = error == 999 ? "unknown error" : 0; return 0; }
"""
Shown = Sequence[tuple[str, tuple[int, int]]]


def make_driver(
    folder: Path,
    gpus: Shown = (("NVIDIA H200", (9, 0)),),
    version: int = 13020,
    init: int = 0,
    counting: int = 0,
    mode: int = 0,
) -> Path:
    """Its file, `libcuda.so.1` in a folder for LD_LIBRARY_PATH; `init` and `counting` are what calls return, 0 for
    success, `mode` the GPUs' compute mode. Skips the test where there is no C compiler.
    """
    if shutil.which("cc") is None:
        pytest.skip("no C compiler is here")
    shown = list(gpus) or [("", (0, 0))]
    source = SOURCE % {
        "names": ", ".join(f'"{name}"' for name, _ in shown),
        "majors": ", ".join(str(capability[0]) for _, capability in shown),
        "minors": ", ".join(str(capability[1]) for _, capability in shown),
        "count": len(gpus),
        "version": version,
        "init": init,
        "counting": counting,
        "mode": mode,
    }
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / "libcuda.so.1"
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=source, text=True, check=True)
    return library
