"""The commands of Compose and of systemd can be run."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.infra.test_infra_files import modules

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("module", modules())
def test_a_command_is_a_module_that_can_be_run(module: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", *module, "--help"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
