"""A stage that measures with a model: a run uses the model that its plan was made with, or stops.

What a name stands for may change between plan and work: a branch on the hub moves, a file is written anew. Results
are filed under the planned digest, so a worker that finds another content must not measure with it.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from winnow.classifiers.artifacts import ModelError
from winnow.stages.stage import Artifact, Map, StageError


class Modelled(Map):
    """State: the digest that `artifacts()` last gave, which travels with the pickled stage. Unset before the first
    plan, and then nothing is compared."""

    __slots__ = ("_planned",)
    _planned: str

    @abstractmethod
    def find(self) -> Artifact:
        """The model as it is now. Raises ModelError."""

    def artifacts(self) -> list[Artifact]:
        artifact = self._find()
        object.__setattr__(self, "_planned", artifact.digest)
        return [artifact]

    def artifact(self) -> Artifact:
        """The model to measure with. Raises StageError where it is not the planned one."""
        artifact = self._find()
        planned = getattr(self, "_planned", artifact.digest)
        if artifact.digest != planned:
            raise StageError(
                f"{self.name}: model '{artifact.name}' changed during the run: planned with sha256 {planned[:12]}, here "
                f"it is {artifact.digest[:12]}; run again, or name a fixed one (hub:owner/repo/file@commit)"
            )
        return artifact

    def _find(self) -> Artifact:
        try:
            return self.find()
        except ModelError as error:
            raise StageError(f"{self.name}: {error}") from error

    def __getstate__(self) -> list[Any]:
        return [self.name, self.settings, self.pack, getattr(self, "_planned", None)]

    def __setstate__(self, state: list[Any]) -> None:
        for name, value in zip(("name", "settings", "pack", "_planned"), state, strict=True):
            if value is not None:
                object.__setattr__(self, name, value)
