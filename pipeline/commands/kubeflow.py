"""`maskline kubeflow`: the same pipeline on open-source Kubeflow Pipelines."""

from pathlib import Path

import click

from pipeline.commands.options import config_option, set_option


@click.group()
def kubeflow() -> None:
    """Run the pipeline on Kubeflow Pipelines 2; kubeflow/README.md leads there step by step."""


@kubeflow.command()
@config_option
@set_option
@click.option("--output", type=click.Path(path_type=Path), default="kubeflow/bundle", show_default=True)
def bundle(config_file: Path | None, overrides: tuple[str, ...], output: Path) -> None:
    """Write the compiled pipeline that the image holds."""
    from pipeline.cluster_compile import compile_pipeline
    from pipeline.config import load

    compiled = compile_pipeline(load(config_file, overrides))
    compiled.write_bundle(output)
    click.echo(f"{len(compiled.nodes)} nodes, sha256 {compiled.digest[:12]}, in {output}")


@kubeflow.command("compile")
@config_option
@set_option
@click.option("--output", type=click.Path(path_type=Path), required=True, help="YAML file")
def compile_(config_file: Path | None, overrides: tuple[str, ...], output: Path) -> None:
    """Write the document that Kubeflow Pipelines takes."""
    from pipeline.cluster_compile import compile_pipeline
    from pipeline.config import load

    compiled = compile_pipeline(load(config_file, overrides))
    text = compiled.document()
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    click.echo(f"{len(compiled.nodes)} tasks, sha256 {compiled.digest[:12]}, in {output}")
