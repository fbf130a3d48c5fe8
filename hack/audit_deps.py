"""Whether the locked packages have known vulnerabilities, as PyPI says: `make audit-deps`.

Arguments are those of pip-audit, for example `--vulnerability-service osv`. Exits with 0 when none is known, 1 when one
is, and 2 when not every package could be asked about, so that nobody knows.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements-operator.lock", "requirements-runtime.lock", "requirements.lock")
IGNORED: dict[str, str] = {}
"""Vulnerabilities without a fixed version that do not matter here: id → why not, and when to look again."""
VULNERABLE, UNKNOWN = 1, 2


def main(arguments: Sequence[str]) -> int:
    """Ask, tell, and give the exit code."""
    command = [sys.executable, "-m", "pip_audit", "--progress-spinner", "off", "--format", "json"]
    # The hashes name every file there is to install, so nothing is resolved or downloaded.
    command += ["--require-hashes", "--disable-pip"]
    command += [f"--requirement={lock}" for lock in LOCKS] + [f"--ignore-vuln={known}" for known in IGNORED]
    audit = subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    try:
        packages = json.loads(audit.stdout)["dependencies"]
    except (ValueError, LookupError):
        reason = (audit.stderr.strip() or f"pip-audit ended with {audit.returncode}").splitlines()[-1]
        sys.stderr.write(f"No answer about vulnerabilities: {reason}\nThis needs the network; try again later.\n")
        return UNKNOWN
    return _tell(packages)


def _tell(packages: Sequence[dict[str, Any]]) -> int:
    found = {
        (package["name"], package["version"], problem["id"], ", ".join(problem["fix_versions"]))
        for package in packages
        for problem in package.get("vulns", [])
    }
    for name, version, known, fixed in sorted(found):
        advice = f'make lock ARGS="--upgrade-package {name}" (fixed in {fixed})' if fixed else "no version is fixed"
        sys.stderr.write(f"{name} {version}: {known}; {advice}\n")
    if found:
        return VULNERABLE
    names = {package["name"] for package in packages}
    silent = sorted({package["name"] for package in packages if "skip_reason" in package})
    if silent:
        sys.stderr.write(
            f"Nothing was said about {len(silent)} of {len(names)} packages ({', '.join(silent[:3])}, …), so nobody "
            "knows whether they are safe: what answers as PyPI here has no page of that version. Try another network.\n"
        )
        return UNKNOWN
    sys.stdout.write(f"{len(names)} packages, no known vulnerabilities\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
