"""The MLflow importer."""
