"""Annotating pictures for many clients: models, batches, cached results, and quotas."""
