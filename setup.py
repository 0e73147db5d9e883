"""Makes the rooms installable: `pip install --no-deps .` here, `--setup_file=./setup.py` for Beam workers."""

from setuptools import setup

setup(
    packages=["components", "pipeline", "pipeline.cluster", "pipeline.commands", "trainer", "transform"],
    package_data={"transform": ["*.pbtxt"]},
)
