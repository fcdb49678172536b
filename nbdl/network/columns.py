"""The names of columns that a network learns in a fit on a data frame, and when it takes others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nbdl.data.columns import Names, names_of, quoted
from nbdl.errors import warn

if TYPE_CHECKING:
    from nbdl.network.job import Job
    from nbdl.network.network import Network


def renew_names(network: Network, x: Any, y: Any) -> None:
    """Have a network forget its names before a fit on as many columns of other names; a fit learns the new ones.

    Names of a layer that took statistics of its columns stay known: those statistics would be of other columns.
    """
    known, names = network.fitted_names, names_of(x)
    if known is not None and names is not None and len(known) == len(names) and sorted(known) != sorted(names):
        network.fitted_names = None
        if network.feature_names is None:
            warn(
                f"fit: the columns of x are {quoted(names)}, and the model was fitted on {quoted(known)}; training "
                "goes on from its weights, and the model keeps the new names"
            )
    known, names = network.target_names, names_of(y)
    if known is not None and names is not None and sorted(known) != sorted(names):
        network.target_names = None


def learn_names(network: Network, names: Names | None, targets: Names | None) -> None:
    """Keep the names of the columns that a network is fitted on, inputs and targets, unless it has some."""
    if names is not None and network.feature_names in (None, network.adapted_names):
        network.fitted_names = names
    if targets is not None and network.target_names is None:
        network.target_names = targets


@contextmanager
def kept_if_trained(job: Job) -> Iterator[None]:
    """Have a network forget the names that it learns in this block where it ends with an error before any step."""
    network, done = job.network, job.iterations
    known = network.fitted_names, network.target_names
    try:
        yield
    except BaseException:
        if job.iterations == done:
            network.fitted_names, network.target_names = known
        raise
