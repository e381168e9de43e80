"""Annotating pictures for many clients: models, batches of pictures, results that are kept, and quotas."""
