"""The loop that joins the stages: capture, annotation, training, evaluation, export, report."""
