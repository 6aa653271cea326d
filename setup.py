"""Metadata, dependencies and commands. Settings of the tools are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

# What reports and --show draw with. No picture needs it.
REPORT = ["jinja2>=3.1", "matplotlib>=3.8", "plotly>=6.3"]
ROOT = Path(__file__).resolve().parent
README = ROOT / "README.md"


def read_version():
    """The version as nst_np/version.py has it, read as text: importing the package would need its dependencies."""
    text = (ROOT / "nst_np" / "version.py").read_text(encoding="utf-8")
    return re.search(r'^VERSION = "(.+)"$', text, re.MULTILINE).group(1)


setup(
    name="nst_np",
    version=read_version(),
    description="Neural style transfer by optimisation in NumPy and CuPy, every derivative by hand",
    long_description=README.read_text(encoding="utf-8") if README.exists() else "",
    long_description_content_type="text/markdown",
    license="MIT",
    # weights/ is the package nst_np.compact of an installation, with the file in the box; a user's own never enters.
    packages=[*find_packages(include=["nst_np", "nst_np.*"]), "nst_np.compact"],
    package_dir={"nst_np.compact": "weights"},
    package_data={"nst_np.compact": ["README.md", "vgg16-compact.npz"], "nst_np.experiments": ["sweeps/*.toml"],
                  "nst_np.report": ["templates/*"]},
    python_requires=">=3.10",
    # The lower bounds are the oldest releases that the test-suite passes with, on Python 3.10.
    install_requires=[
        "numpy>=1.23.5",
        "scipy>=1.11",
        "pillow>=10.3",
        "h5py>=3.8",
        "pooch>=1.7",
        "psutil>=5.9",
        "requests>=2.30",
        "threadpoolctl>=3.1",
        "tomli>=2; python_version < '3.11'",
        "tqdm>=4.64",
        "urllib3>=2",  # the first to notice a download that was cut off
    ],
    extras_require={
        # With what CuPy needs of CUDA here, so that a driver is enough: its products, and a compiler with its headers.
        "gpu-cuda12": ["cupy-cuda12x>=14", "cuda-toolkit[cublas,cudart,nvrtc]==12.*"],
        "gpu-cuda13": ["cupy-cuda13x>=14", "cuda-toolkit[cublas,cudart,nvrtc]==13.*"],
        "torch-files": ["torch>=2.0"],
        "report": REPORT,
        # PyTorch is what benchmarks compare with, matplotlib draws the result. No picture needs either.
        "bench": ["matplotlib>=3.8", "torch>=2.0"],
        # playwright drives the browser that is on the machine; where there is none, the pages' tests are skipped.
        "test": [*REPORT, "pytest>=7.4", "hypothesis>=6.80", "safetensors>=0.4", "playwright>=1.45", "ruff>=0.17,<0.18",
                 "mypy>=2.4,<3"],
    },
    entry_points={"console_scripts": [
        "nst-np = nst_np.cli:main",
        "nst-np-experiment = nst_np.cli:experiment_main",
        "nst-np-reconstruct = nst_np.cli:reconstruct_main",
        "nst-np-fetch = nst_np.cli:fetch_weights_main",
        "nst-np-convert = nst_np.cli:convert_weights_main",
    ]},
)
