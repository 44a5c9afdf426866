"""ImageNet's settings on a made ImageNet of 1,000 classes, with more images than a job may keep: read from disk while
they train, to the numbers of images in memory.
"""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import REPOSITORY
from PIL import Image
from snakemake_command import run_snakemake
from takeoff.data.card import load_card

pytestmark = pytest.mark.slow

CLASSES, SIDE = 1000, 128
MEASURED_ANEW = ["seconds", "images_per_second", "started_at"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of noise, 5 images of each class to learn from and one for the test."""
    folder, random = tmp_path_factory.mktemp("made"), np.random.default_rng(0)
    for split, count in (("train", 5), ("val", 1)):
        for number in range(CLASSES):
            own = folder / split / f"n{number:08}"
            own.mkdir(parents=True)
            for image in range(count):
                pixels = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).resize((SIDE, SIDE)).save(own / f"{image}.jpg", quality=60)
    return folder


def trained(folder: Path, images: Path, *config: str) -> pd.DataFrame:
    """The runs of a small study of ImageNet's settings, trained anew of images that are prepared once."""
    study = yaml.safe_load((REPOSITORY / "config" / "studies" / "imagenet1k.yaml").read_text())
    study["dataset"] |= {"name": "made", "archive": str(images), "resolution": SIDE, "validation_fraction": 0.2}
    study["network"]["width"] = 0.03125
    study["recipe"] |= {"epochs": 2, "batch_size": 128, "augmentation": "flip-crop-colour"}
    study["tuning"] |= {"learning_rates": [0.01], "weight_decays": None, "search": "grid", "blocks": 1}
    study |= {"seeds": 2, "experiments": {"factorial": {"threshold": 0.3}}, "budget": {"runs": 20, "core_hours": 2}}
    study["factors"] = {"norm": study["factors"]["norm"]}
    folder.mkdir(exist_ok=True)
    shutil.rmtree(folder / "results" / "made", ignore_errors=True)
    (folder / "made.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    own = (f"study={folder / 'made.yaml'}", "device=cpu", "precision=float32", "tracking_uri=off", *config)
    run_snakemake(folder, "results/made/arms/relu/runs.parquet", "--cores", "2", config=own)
    return pd.read_parquet(folder / "results" / "made" / "arms" / "relu" / "runs.parquet").drop(columns=MEASURED_ANEW)


def test_images_that_do_not_fit_train_to_the_same_numbers(tmp_path: Path, made: Path) -> None:
    folder = tmp_path / "here"
    streamed = trained(folder, made, "image_memory_mb=20")
    prepared = folder / "results" / "data"
    (file,) = prepared.glob("**/train.safetensors")
    assert file.stat().st_size > 8 * 20e6
    assert len(load_card(file.parent / "card.json").classes) == CLASSES
    resident = trained(folder, made)
    pd.testing.assert_frame_equal(streamed, resident, check_exact=True)
    assert streamed["test_top5_accuracy"].between(0, 1).all()
    assert streamed["train_loss"].between(6, 8).all()  # about ln(1000)
