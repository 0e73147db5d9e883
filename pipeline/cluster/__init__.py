"""The pipeline on Kubeflow Pipelines: what is compiled and submitted, and what a pod runs."""
