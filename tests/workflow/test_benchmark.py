"""`snakemake benchmark`: what it would run, that no study needs it, and the figure from its table."""

from pathlib import Path

import pytest
from snakemake_command import jobs, run_snakemake

pytestmark = pytest.mark.slow

FOLDER = Path("here") / "results" / "benchmark" / "cpu"
TABLE = """loop,width,batch,threads,precision,images_per_second,ratio_to_plain,ratio_low,ratio_high,low,high,\
resolution,device
dataloader,0.25,128,1,float32,300,1,1,1,290,310,32,cpu
engine,0.25,128,1,float32,450,1.5,1.4,1.6,440,470,32,cpu
"""


@pytest.fixture
def snakemake(tmp_path: Path):
    """Run in a folder of its own, on a machine that shows no GPU."""

    def run(*arguments: str):
        return run_snakemake(tmp_path / "here", *arguments, config=("device=cpu",))

    return run


def test_the_target_measures_and_draws_and_no_study_does(snakemake) -> None:
    assert jobs(snakemake("benchmark", "--cores", "all", "--dry-run")) == {"measure", "draw_benchmark", "benchmark"}
    assert not jobs(snakemake("--cores", "all", "--dry-run")) & {"measure", "draw_benchmark", "benchmark"}


def test_the_figure_is_drawn_from_the_table_that_is_there(snakemake, tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    (folder / "throughput.csv").write_text(TABLE)
    (folder / "machine.json").write_text('{"throughput": {"device": "cpu", "cpu": "a CPU", "torch": "2"}}')
    snakemake(f"{FOLDER.relative_to('here')}/throughput.svg", "--cores", "1", "--allowed-rules", "draw_benchmark")
    assert (folder / "throughput.svg").stat().st_size > 1000
    assert (folder / "throughput.png").stat().st_size > 1000
