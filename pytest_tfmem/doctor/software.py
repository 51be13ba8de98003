"""What is installed: versions, and pytest plugins that are known to matter."""

from __future__ import annotations

import importlib.metadata
import os
from typing import TYPE_CHECKING

from pytest_tfmem.doctor.diagnosis import Check
from pytest_tfmem.errors import one_line
from pytest_tfmem.history.environment import KERAS_DISTRIBUTIONS, TENSORFLOW_DISTRIBUTIONS
from pytest_tfmem.isolate.ignored import ignored_values

if TYPE_CHECKING:
    from pytest_tfmem.history.environment import Environment

# How each is catered for stands in isolate.arguments and in the plugin's hooks.
_CATERED_FOR = ("pytest-xdist", "pytest-rerunfailures", "pytest-timeout", "pytest-randomly", "pytest-reportlog")
_BREAK_ON_PYTEST_9 = {  # by the last version seen to
    "pytest-forked": "1.7.5",
    "pytest-isolate": "0.0.17",
    "pytest-monitor": "1.6.6",
}


def software_checks(environment: Environment) -> list[Check]:
    packages = environment.packages
    checks = [
        Check(name="Python", state="ok", said=f"{environment.python_implementation} {environment.python}"),
        Check(name="pytest", state="ok", said=packages.get("pytest", "of unknown version")),
        _framework("TensorFlow", packages, TENSORFLOW_DISTRIBUTIONS, "pip install 'pytest-tfmem[tensorflow]'"),
        _framework("Keras", packages, KERAS_DISTRIBUTIONS, ""),
        _framework("NumPy", packages, ("numpy",), ""),
    ]
    return [*checks, *_plugins(packages.get("pytest", "")), *_coverage(), *_variables(environment)]


def _framework(name: str, packages: dict[str, str], distributions: tuple[str, ...], install: str) -> Check:
    found = [f"{one_line(packages[one])} ({one})" for one in distributions if one in packages]
    if found:
        return Check(name=name, state="ok", said=", ".join(found))
    return Check(name=name, state="note" if install else "ok", said="not installed", help=install)


def _plugins(pytest_version: str) -> list[Check]:
    known = {name: _version(name) for name in (*_CATERED_FOR, *_BREAK_ON_PYTEST_9)}
    beside = [f"{name} {version}" for name, version in known.items() if version and name in _CATERED_FOR]
    checks = [Check(name="plugins", state="ok", said=f"works with {', '.join(beside)}")] if beside else []
    modern = pytest_version.partition(".")[0].isdecimal() and int(pytest_version.partition(".")[0]) >= 9  # noqa: PLR2004
    for name, seen in _BREAK_ON_PYTEST_9.items():
        if (version := known[name]) and modern:
            said = f"{version}: uses parts of pytest that pytest 9 has changed, and fails tests (seen with {seen})"
            checks.append(Check(name=name, state="note", said=said, help=f"pip uninstall {name}"))
    return checks


def _coverage() -> list[Check]:
    version = _version("pytest-cov")
    if version is None:
        return []
    if "subprocess" in _patches():
        said = f"{version}: counts tests in fresh processes, too (patch = subprocess)"
        return [Check(name="pytest-cov", state="ok", said=said)]
    said = f"{version}: with --cov, what tests execute in fresh processes is not counted"
    help_ = "write patch = subprocess under [run] of the coverage settings (coverage 7.10 or later)"
    return [Check(name="pytest-cov", state="note", said=said, help=help_)]


def _patches() -> list[str]:
    """The patches that coverage's own settings ask for here; none if it has no such setting, or cannot read its own."""
    try:
        import coverage  # noqa: PLC0415  only if pytest-cov, which needs it, is installed
    except ImportError:
        return []
    try:
        patches = coverage.Coverage(data_file=None).get_option("run:patch")
    except coverage.CoverageException:
        return []
    return [str(patch) for patch in patches] if isinstance(patches, list) else []


def _variables(environment: Environment) -> list[Check]:
    checks = [Check(name="environment", state="note", said=said) for said in ignored_values(os.environ)]
    if environment.settings:
        listed = ", ".join(f"{name}={one_line(value, most=60)}" for name, value in environment.settings.items())
        checks.append(Check(name="environment", state="ok", said=f"readings depend on {listed}"))
    return checks


def _version(distribution: str) -> str | None:
    try:
        return one_line(importlib.metadata.version(distribution), most=40)
    except importlib.metadata.PackageNotFoundError:
        return None
