"""Parts of pytest that hold something of their process's own, let go before a fork and taken up again in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def configure_again(config: pytest.Config, name: str) -> None:
    """Have one of pytest's own plugins take up anew what it took up when it was configured, before the fork."""
    plugin = config.pluginmanager.get_plugin(name)
    if plugin is None:
        return  # the user has switched it off
    if hasattr(plugin, "pytest_unconfigure"):
        plugin.pytest_unconfigure(config)
    plugin.pytest_configure(config)


def stop_capturing(config: pytest.Config) -> None:
    """Let go of the files to which pytest's capture leads standard output and error."""
    capture = config.pluginmanager.get_plugin("capturemanager")
    if capture is not None:
        capture.stop_global_capturing()


def start_capturing(config: pytest.Config) -> None:
    """Have pytest capture, into files of this process's own, when the next test begins."""
    capture = config.pluginmanager.get_plugin("capturemanager")
    if capture is not None:
        capture.start_global_capturing()
        capture.suspend_global_capture()
