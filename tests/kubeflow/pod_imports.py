"""What a pod imports, whatever its node: for forks that stand for pods."""

from maskline.pipeline.imports import lean_imports

with lean_imports(clouds=True):
    import maskline.pipeline.dag  # noqa: F401, every component
    from maskline.pipeline.cluster import metadata, node  # noqa: F401
