"""What the rules of the workflow ask a cluster for."""

import os
from pathlib import Path

import pytest
from takeoff.common.errors import TakeoffError
from takeoff.study.configuration import Resources
from takeoff.workflow.wiring import asked, check_finished, memory, run_in_this_python

USUAL = {"gpu": 1, "mem_mb": 4000, "runtime": "12h"}


@pytest.mark.parametrize(
    ("own", "asks"),
    [
        ({}, USUAL),
        ({"runtime": "4h", "slurm_partition": "gpu"}, USUAL | {"runtime": "4h", "slurm_partition": "gpu"}),
        ({"mem_mb": "500"}, USUAL | {"mem_mb": 500}),  # `--config` hands numbers on as text
        ({"mem": "8 GB"}, {"gpu": 1, "mem": "8 GB", "runtime": "12h"}),
        ({"gres": "gpu:a100:2"}, USUAL | {"gres": "gpu:a100:2", "gpu": 0}),
        ({"gpu": 2, "slurm_extra": "--nice=100"}, USUAL | {"gpu": 2, "slurm_extra": "--nice=100"}),
    ],
)
def test_the_configuration_changes_what_jobs_ask_for(own: dict[str, int | str], asks: dict[str, int | str]) -> None:
    assert asked(Resources(train=own).train, **USUAL) == asks


def test_memory_goes_by_what_a_job_reads_and_by_the_try(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("train.safetensors", "test.safetensors")]
    for path, size in zip(files, (200_000_000, 33_400_000), strict=True):
        with path.open("wb") as file:
            file.truncate(size)
    assert [memory(4000, 3)(None, map(str, files), attempt) for attempt in (1, 2, 3)] == [4700, 9400, 14100]


def test_a_containers_user_without_a_name_has_one_for_those_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 1_234_567)
    monkeypatch.setenv("PATH", os.environ["PATH"])
    run_in_this_python()
    assert os.environ["LOGNAME"] == "uid1234567"
    monkeypatch.delenv("LOGNAME")


def test_a_report_is_of_a_study_that_has_run(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("claims.csv", "summary.md")]
    files[0].touch()
    with pytest.raises(TakeoffError, match=r"summary\.md: not there, of 2 files .* 1 are missing"):
        check_finished([str(file) for file in files])
    files[1].touch()
    check_finished([str(file) for file in files])
