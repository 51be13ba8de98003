"""The whole examination."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from pytest_tfmem.doctor.diagnosis import Check, Diagnosis
from pytest_tfmem.doctor.figures import figure_checks
from pytest_tfmem.doctor.gpu import find_gpus
from pytest_tfmem.doctor.machine import machine_checks
from pytest_tfmem.doctor.project import project_checks
from pytest_tfmem.doctor.software import software_checks
from pytest_tfmem.doctor.trial import run_trial
from pytest_tfmem.history.environment import describe_environment


def examine() -> Diagnosis:
    """Examine this machine, this interpreter's packages, and the current directory. Takes some seconds."""
    gpus = find_gpus()
    environment = describe_environment(gpus=gpus.names, gpu_driver=gpus.driver)
    trial = run_trial()
    of_project = project_checks(Path.cwd())
    return Diagnosis(
        works=not _any_bad(trial.checks, of_project),
        version=importlib.metadata.version("pytest-tfmem"),
        trial=trial.checks,
        figures=figure_checks(trial.readings, gpus.rungs, gpus.why_none),
        machine=machine_checks(environment),
        gpu=gpus.checks,
        software=software_checks(environment),
        project=of_project,
        environment=environment,
    )


def _any_bad(*parts: list[Check]) -> bool:
    return any(check.state == "bad" for checks in parts for check in checks)
