"""Slips that answers of more than one chapter show."""

from llmecon.teaching.records import Mistake

SPARSE = 2.0
"""Peak rates with half of the weights zero, over dense ones; some datasheets print only those."""


def sparse_peak(answer: float) -> Mistake:
    """Taking a peak rate with sparsity for the dense one.

    Args:
        answer: the right one, which is inversely proportional to the peak rate.

    Returns:
        The mistake, with the value that it leads to.
    """
    return Mistake(
        "sparse-peak",
        "This takes the peak with sparsity, which vendors print too; products of full matrices "
        "run at the dense rate.",
        answer / SPARSE,
    )
