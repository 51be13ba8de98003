"""What tests' processes share in one session: what starts them, their folders, the GPUs; made when first needed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pytest_tfmem.errors import one_line

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from pytest_tfmem.isolate.gpus import Gpus
    from pytest_tfmem.isolate.lease import Lease
    from pytest_tfmem.isolate.scratch import Scratch
    from pytest_tfmem.isolate.starter import Starter
    from pytest_tfmem.request import Request
    from pytest_tfmem.settings import Settings


class Resources:
    """One per session. Of what no test has needed nothing is imported, and nothing is there to be closed."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self._config = config
        self._settings = settings
        self._lazy_starter: Starter | None = None
        self._lazy_gpus: Gpus | None = None
        self._scratch: Scratch | None = None

    @property
    def starter(self) -> Starter:
        """What starts their processes."""
        if self._lazy_starter is None:
            from pytest_tfmem.isolate.starter import Starter  # noqa: PLC0415  only where a test is isolated

            self._lazy_starter = Starter(self._settings.start_method, self._settings.preload)
        return self._lazy_starter

    @property
    def gpus(self) -> Gpus:
        """The GPUs that there are."""
        if self._lazy_gpus is None:
            from pytest_tfmem.isolate.gpus import Gpus  # noqa: PLC0415  only where a test is isolated

            self._lazy_gpus = Gpus(switched_off=self._settings.gpu == "off", lease_dir=self._settings.lease_dir)
        return self._lazy_gpus

    def lease(self, item: pytest.Item, request: Request) -> Lease | None:
        """The cards that are to be this test's alone, once they are free; None where it needs none.

        Raises TfmemError if there are fewer.
        """
        from pytest_tfmem.isolate.lease import cards_needed  # noqa: PLC0415  the same

        count = 0 if request.runtime.hides_gpus else cards_needed(request.budget.limits, request.runtime.gpus)
        return self.gpus.lease(count, nodeid=item.nodeid, on_wait=self._say)

    def new_folder(self) -> Path:
        """The path of a test's `basetemp`, where nothing is yet. Raises OSError if there can be none."""
        if self._scratch is None:
            from pytest_tfmem.isolate.scratch import Scratch  # noqa: PLC0415  the same

            self._scratch = Scratch(self._config.getoption("basetemp", None))
        return self._scratch.next_folder()

    def discard(self, folder: Path) -> None:
        """Remove a test's folder: nobody will look at what is in it."""
        if self._scratch is not None:
            self._scratch.discard(folder)

    def run_is_over(self) -> None:
        """No test comes any more: end what was held ready for one."""
        if self._lazy_starter is not None:
            self._lazy_starter.close()

    def close(self) -> None:
        self.run_is_over()
        if self._lazy_gpus is not None:
            self._lazy_gpus.close()
        if self._scratch is not None:
            self._scratch.close()

    def _say(self, text: str) -> None:
        """Tell the user at once, while pytest runs; from a worker of pytest-xdist, too."""
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if hasattr(self._config, "workerinput") or terminal is None:
            # A worker's own terminal leads nowhere.
            print(one_line(text, most=500), file=sys.stderr, flush=True)  # noqa: T201
        else:
            terminal.ensure_newline()
            terminal.write_line(one_line(text, most=500))
            terminal.flush()  # it may lead to a file or a pipe
