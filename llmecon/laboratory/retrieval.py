"""A search index over the text of passages, and how often it finds the right one."""

import numpy as np
from jaxtyping import Int
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics.pairwise import linear_kernel


def ranked(
    passages: list[str], questions: list[str], most: int
) -> Int[np.ndarray, "questions most"]:
    """The passages nearest to each question.

    Texts become vectors of their letter groups, rare ones weighing more (TF-IDF); near is what
    points the same way [Salton1988].

    Args:
        passages: to search.
        questions: to answer.
        most: passages to return.

    Returns:
        Numbers of passages, nearest first.
    """
    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    index = vectors.fit_transform(passages)
    likeness = linear_kernel(vectors.transform(questions), index)
    return np.argsort(-likeness, axis=1, kind="stable")[:, :most]


def recall_at(
    ranking: Int[np.ndarray, "questions most"], wanted: Int[np.ndarray, " questions"]
) -> np.ndarray:
    """Share of questions whose passage is among the first 1, 2, 3, ...

    Args:
        ranking: passages found for each question, nearest first.
        wanted: the passage that each question needs.

    Returns:
        Recall by the number of passages taken.
    """
    return np.cumsum(ranking == wanted[:, None], axis=1).mean(axis=0)
