"""Import once what the commands import, so that its bytecode is on disk before the first job starts."""

import importlib

MODULES = """
matplotlib.figure
mlflow.tracking
mlflow.store.tracking.sqlalchemy_store
mlflow.data.meta_dataset
pandas
pyarrow.parquet
pydantic
safetensors.torch
seaborn.objects
sklearn.datasets
snakemake.cli
snakemake.report
scipy.stats
torch
torchvision.transforms.v2
yaml
""".split()

for module in MODULES:
    importlib.import_module(module)
