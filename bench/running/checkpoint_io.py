"""Checkpoints that are whole or not there, and lie nowhere but in their folder."""

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO

from bench.base.errors import BenchError
from bench.base.paths import replacing


class WholeCheckpoints(TorchCheckpointIO):
    """Writes beside the old file, and puts the new one into its place when it is on the disk.

    Lightning writes to the system's temporary folder first, and copies where that is another disk.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Writes a checkpoint.

        Raises:
            BenchError: if it cannot be written; what was there is still there.
        """
        try:
            with replacing(Path(path)) as file:
                torch.save(checkpoint, file)
        except (OSError, RuntimeError) as error:
            raise BenchError(
                f"{Path(path).parent}: the checkpoint cannot be written ({error}): make room, and "
                "run the same command again to go on from the one before"
            ) from error
