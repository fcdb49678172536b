"""Models as users hold them: built, compiled, saved, copied and exported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbdl.lazy import published

if TYPE_CHECKING:
    from nbdl.model.export import fingerprint as fingerprint
    from nbdl.model.export import owner_of as owner_of
    from nbdl.model.export import refuse_overwriting as refuse_overwriting
    from nbdl.model.notes import noted as noted
    from nbdl.model.notes import read_note as read_note
    from nbdl.model.sequential import Sequential as Sequential
    from nbdl.model.write import check_saveable as check_saveable
    from nbdl.model.write import is_weights_of as is_weights_of
    from nbdl.model.write import model_bytes as model_bytes
    from nbdl.model.write import save_model as save_model
    from nbdl.model.write import save_weights as save_weights
    from nbdl.model.write import why_not_resumable as why_not_resumable

__getattr__, __all__ = published(
    __name__,
    {
        "nbdl.model.export": "fingerprint owner_of refuse_overwriting",
        "nbdl.model.notes": "noted read_note",
        "nbdl.model.sequential": "Sequential",
        "nbdl.model.write": "check_saveable is_weights_of model_bytes save_model save_weights why_not_resumable",
    },
)
