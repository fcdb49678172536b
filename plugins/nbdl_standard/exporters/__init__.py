"""Exporters: models as files of other formats."""
