"""Makes the rooms installable: `pip install --no-deps .` here, `--setup_file=./setup.py` for Beam workers."""

from setuptools import find_packages, setup

setup(
    # The rooms stand at the top of the repository; links in maskline/ give them their names (docs/adr/0010).
    packages=find_packages(include=["maskline", "maskline.*"]),
    package_data={"maskline.transform": ["*.pbtxt"], "maskline.pipeline.report": ["templates/*"]},
)
