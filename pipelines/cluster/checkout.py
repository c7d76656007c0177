"""The code of this checkout for machines that have the packages winnow needs, but not this winnow."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import winnow
from winnow.pipelines.engine.execute import RunError


def package(folder: Path) -> Path:
    """Build a wheel of the checkout that runs, and unpack it below `folder`. Returns the package's folder, which Ray sends
    as it is: given the wheel itself, it would install everything that winnow depends on for every job."""
    root = Path(winnow.__file__).parent
    if not (root / "pyproject.toml").is_file():
        raise RunError(
            f"--code wheel: winnow runs from {root}, which is not a checkout (no pyproject.toml); expected an editable "
            "installation, or --code installed with winnow on the cluster's machines"
        )
    build, wheels = folder / "build", folder / "wheels"
    build.mkdir(parents=True)
    # The build must leave nothing in the checkout, and take nothing that an earlier one left there.
    settings = folder / "build.cfg"
    settings.write_text(f"[build]\nbuild_base={build}\n[egg_info]\negg_base={build}\n", "utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--no-deps",
            "--no-build-isolation",
            "--wheel-dir",
            str(wheels),
            str(root),
        ],
        capture_output=True,
        text=True,
        env=os.environ | {"DIST_EXTRA_CONFIG": str(settings)},
    )
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise RunError(f"--code wheel: {root} cannot be built: {last}")
    with zipfile.ZipFile(next(wheels.glob("*.whl"))) as wheel:
        wheel.extractall(folder / "code", [name for name in wheel.namelist() if name.startswith("winnow/")])
    return folder / "code" / "winnow"
