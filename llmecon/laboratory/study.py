"""Retrieval against fine-tuning, measured on a small model and facts of which some change.

A transformer is trained from scratch on a world of facts, to answer with and without passages at
hand. Then some of the facts change, and the model is asked about all of them: as it is, with
passages, after further training on the changes, and with both.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray
from scipy import stats

from llmecon.execution.disk_cache import digest
from llmecon.execution.disk_cache import kept as from_disk
from llmecon.laboratory import facts, retrieval, transformer
from llmecon.laboratory.facts import World
from llmecon.laboratory.transformer import Weights


@dataclass(frozen=True)
class Settings:
    """An experiment.

    Attributes:
        seeds: independent repetitions, each with a world of its own.
        subjects: of the world's facts.
        relations: of each subject.
        answers: different objects.
        width: of the model's residual stream.
        layers: of the model.
        steps: of training.
        batch: questions in a step of training.
        open_book: share of these with passages, which take longer to learn.
        passages: at hand in training, and usually when asked.
        hits: share of the questions with passages, in training, whose passage is among them.
        learning_rate: the highest in training.
        change: share of the facts that change.
        tuning_steps: of further training; each shows every changed fact once.
        tuning_rate: learning rate of further training.
        replay: share of the unchanged facts that further training shows beside the changes.
        recalls: of retrieval, as controlled.
        counts: of passages, over which reading is measured.
        typos: share of letters mistyped in the questions to the index.
        searched: passages taken from the index.
    """

    seeds: int = 5
    subjects: int = 64
    relations: int = 4
    answers: int = 64
    width: int = 64
    layers: int = 2
    steps: int = 1000
    batch: int = 80
    open_book: float = 0.75
    passages: int = 3
    hits: float = 0.75
    learning_rate: float = 6e-3
    change: float = 0.25
    tuning_steps: int = 40
    tuning_rate: float = 1e-3
    replay: float = 0.25
    recalls: tuple[float, ...] = (1.0, 0.9, 0.7, 0.5)
    counts: tuple[int, ...] = (1, 2, 4, 8, 16)
    typos: float = 0.25
    searched: int = 4


# Thousands of steps of matrix products: here it is running that takes time, not compiling.
_OPTIMISED = {"xla_backend_optimization_level": 2}


class Tuned(NamedTuple):
    """A model trained further on the changes.

    Attributes:
        weights: afterwards.
        changed: share of the changed facts known after each step.
        spared: share of the unchanged facts known that were not replayed, after each step.
    """

    weights: Weights
    changed: Float[Array, " steps"]
    spared: Float[Array, " steps"]


@dataclass(frozen=True)
class Study:
    """What came out, by seed.

    Attributes:
        settings: of the experiment.
        weights: in the model.
        accuracy: share of all questions answered rightly after the change, by way to answer.
        changed: the same of questions about facts that changed.
        unchanged: the same of the others.
        reading: share answered rightly when the right passage is among so many.
        misled: share of what the model knows that it gets wrong with only wrong passages.
        learning: share of the changed facts known, by step of training on them, without replay.
        forgetting: share of what it knew of the others that it lost, by replay.
        recall: of the index, by number of passages taken.
    """

    settings: Settings
    weights: int
    accuracy: dict[str, np.ndarray]
    changed: dict[str, np.ndarray]
    unchanged: dict[str, np.ndarray]
    reading: dict[int, np.ndarray]
    misled: np.ndarray
    learning: np.ndarray
    forgetting: dict[float, np.ndarray]
    recall: np.ndarray


def run(settings: Settings | None = None) -> Study:
    """The whole experiment.

    Args:
        settings: of it.

    Returns:
        Its results, the same whenever it is run on the same machine.
    """
    of = Settings() if settings is None else settings
    keys = jax.random.split(jax.random.key(0), of.seeds)
    train = jax.jit(partial(jax.lax.map, partial(_trained, of)), compiler_options=_OPTIMISED)
    trained, before, after, orders = train(keys)
    rankings = [_ranking(of, seed, _one(after, seed)) for seed in range(of.seeds)]
    hits = np.stack([
        retrieval.recall_at(ranking, np.arange(of.subjects * of.relations)) for ranking in rankings
    ])  # fmt: skip
    found = jnp.asarray(np.stack(rankings)[:, :, : of.searched])
    measured = [
        _measured(
            of, key, *(_one(given, seed) for given in (trained, before, after, orders, found))
        )
        for seed, key in enumerate(keys)
    ]
    accuracy, changed, unchanged, reading, misled, learning, forgetting = jax.tree.map(
        lambda *seeds: np.stack([np.asarray(value) for value in seeds]), *measured
    )
    return Study(
        settings=of,
        weights=transformer.count(_one(trained, 0)),
        accuracy=accuracy,
        changed=changed,
        unchanged=unchanged,
        reading=reading,
        misled=misled,
        learning=learning,
        forgetting=forgetting,
        recall=hits,
    )


def kept(settings: Settings | None = None) -> Study:
    """The experiment, run once for a version of the laboratory and afterwards read from disk.

    Args:
        settings: as in `run`.

    Returns:
        As `run`.
    """
    asked = Settings() if settings is None else settings
    return from_disk("experiments", digest(_version(), repr(asked)), lambda: run(asked))


def _version() -> str:
    """What tells versions of the experiment apart."""
    parts = (facts, retrieval, transformer)
    sources = [Path(__file__), *(Path(str(of.__file__)) for of in parts)]
    return digest(*(source.read_bytes() for source in sources))


def _one(batch: Any, seed: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[seed] if hasattr(leaf, "ndim") else leaf, batch)


def _world(settings: Settings, objects: Int[Array, " facts"]) -> World:
    return World(objects, settings.subjects, settings.relations, settings.answers)


def _ranking(settings: Settings, seed: int, objects: Int[Array, " facts"]) -> np.ndarray:
    """Passages found for the question about every fact."""
    world = _world(settings, objects)
    most = max(settings.searched, *settings.counts)
    return retrieval.ranked(
        facts.passage_texts(seed, world), facts.question_texts(seed, world, settings.typos), most
    )


def distractors(
    key: PRNGKeyArray, world: World, asked: Int[Array, " questions"], many: int
) -> Int[Array, "questions many"]:
    """Facts that are not asked for, half of them about the same subject.

    Args:
        key: of the draw.
        world: of the facts.
        asked: the facts asked for.
        many: for each question.

    Returns:
        Numbers of facts.
    """
    kind, near, far = jax.random.split(key, 3)
    shape = (len(asked), many)
    same = jax.random.bernoulli(kind, 0.5, shape)
    turn = jax.random.randint(near, shape, 1, world.relations)
    subject, relation = asked[:, None] // world.relations, asked[:, None] % world.relations
    beside = subject * world.relations + (relation + turn) % world.relations
    step = jax.random.randint(far, shape, 1, world.facts)
    elsewhere = (asked[:, None] + step) % world.facts
    return jnp.where(same, beside, elsewhere)


@eqx.filter_jit
def with_passages(
    key: PRNGKeyArray,
    world: World,
    asked: Int[Array, " questions"],
    hit: Bool[Array, " questions"],
    many: int,
) -> Int[Array, "questions many"]:
    """Passages at hand for each question, the right one among them or not.

    Args:
        key: of the draw.
        world: of the facts.
        asked: the facts asked for.
        hit: whether the right passage is among them.
        many: passages for each question.

    Returns:
        Numbers of facts.
    """
    others, place = jax.random.split(key)
    passages = distractors(others, world, asked, many)
    where = jax.random.randint(place, (len(asked),), 0, many)
    here = (jnp.arange(many) == where[:, None]) & hit[:, None]
    return jnp.where(here, asked[:, None], passages)


def prompt(
    world: World,
    asked: Int[Array, " questions"],
    passages: Int[Array, "questions many"],
    objects: Int[Array, "questions many"],
) -> Int[Array, "questions length"]:
    """Passages and question as tokens.

    Args:
        world: of the facts.
        asked: the facts asked for.
        passages: the facts that the passages tell of.
        objects: that they tell.

    Returns:
        Tokens; the answer is the next.
    """
    told = facts.passage(world, passages, objects).reshape(len(asked), -1)
    return jnp.concatenate([told, facts.question(world, asked)], axis=1)


def _loss(weights: Weights, tokens: Array, answers: Array) -> Array:
    scores = transformer.logits(weights, tokens)
    return optax.softmax_cross_entropy_with_integer_labels(scores, answers).mean()


def _trained(settings: Settings, key: PRNGKeyArray) -> tuple[Weights, Array, Array, Array]:
    """A model trained on a world; the world's objects before and after the change, their order."""
    made, start, moved, taught = jax.random.split(key, 4)
    world = facts.create(made, settings.subjects, settings.relations, settings.answers)
    after, order = facts.change(moved, world, settings.change)
    weights = transformer.create(start, world.vocabulary, settings.width, settings.layers)
    rate = optax.warmup_cosine_decay_schedule(
        0.0, settings.learning_rate, settings.steps // 20, settings.steps
    )
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate))
    many = round(settings.open_book * settings.batch)

    def loss(weights: Weights, key: PRNGKeyArray) -> Array:
        """Of questions without passages, and with passages that contradict memory now and then."""
        keys = jax.random.split(key, 6)
        alone = jax.random.randint(keys[0], (settings.batch - many,), 0, world.facts)
        asked = jax.random.randint(keys[1], (many,), 0, world.facts)
        hit = jax.random.bernoulli(keys[2], settings.hits, (many,))
        passages = with_passages(keys[3], world, asked, hit, settings.passages)
        lies = jax.random.randint(keys[4], (many, world.facts), 0, world.answers)
        rate, lot = jax.random.split(keys[5])
        share = jax.random.uniform(rate, (many, 1))
        invented = jax.random.bernoulli(lot, share, (many, world.facts))
        told = jnp.where(invented, lies, world.objects)
        here = jnp.take_along_axis(told, passages, axis=1)
        needed = jnp.take_along_axis(told, asked[:, None], axis=1)[:, 0]
        right = jnp.where(hit, needed, world.objects[asked])
        closed = facts.question(world, alone), facts.answer(world, world.objects[alone])
        opened = prompt(world, asked, passages, here), facts.answer(world, right)
        weight = settings.open_book
        return (1.0 - weight) * _loss(weights, *closed) + weight * _loss(weights, *opened)

    weights, _ = _descended(optimizer, weights, loss, jax.random.split(taught, settings.steps))
    return weights, world.objects, after.objects, order


def _descended(optimizer: Any, weights: Weights, loss: Any, keys: Any, watch: Any = None) -> Any:
    """Weights after as many steps as there are keys, and what was watched after each."""

    def step(state: Any, key: Any) -> Any:
        weights, moments = state
        slope = jax.grad(loss)(weights, key)
        updates, moments = optimizer.update(slope, moments, weights)
        weights = optax.apply_updates(weights, updates)
        weights = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), weights)
        return (weights, moments), None if watch is None else watch(weights)

    (weights, _), watched = jax.lax.scan(step, (weights, optimizer.init(weights)), keys)
    return weights, watched


@eqx.filter_jit
def _right(weights: Weights, world: World, tokens: Array, asked: Array) -> Bool[Array, " asked"]:
    """Which questions are answered rightly."""
    said = jnp.argmax(transformer.logits(weights, tokens), axis=-1)
    return said == facts.answer(world, world.objects[asked])


@eqx.filter_jit
def _tuned(
    settings: Settings, weights: Weights, world: World, order: Array, replay: float
) -> Tuned:
    """Further training on the facts that changed, and on a share of the others."""
    changed = round(settings.change * world.facts)
    replayed = round(replay * (world.facts - changed))
    shown = order[: changed + replayed]
    spared = order[changed + round(settings.replay * (world.facts - changed)) :]
    tokens, answers = facts.question(world, shown), facts.answer(world, world.objects[shown])

    def known(weights: Weights) -> tuple[Array, Array]:
        def share(some: Array) -> Array:
            return _right(weights, world, facts.question(world, some), some).mean()

        return share(order[:changed]), share(spared)

    weights, (learned, kept) = _descended(
        optax.adam(settings.tuning_rate),
        weights,
        lambda weights, _: _loss(weights, tokens, answers),
        jnp.zeros(settings.tuning_steps),
        known,
    )
    return Tuned(weights, learned, kept)


@eqx.filter_jit
def _measured(
    settings: Settings,
    key: PRNGKeyArray,
    weights: Weights,
    before: Array,
    after: Array,
    order: Array,
    found: Array,
) -> tuple[Any, ...]:
    """Everything that is asked of one seed's model after the change."""
    world, past = _world(settings, after), _world(settings, before)
    asked = jnp.arange(world.facts)
    changed = round(settings.change * world.facts)
    alone = facts.question(world, asked)
    keys = iter(jax.random.split(key, 32))

    def open_book(weights: Weights, passages: Array) -> Array:
        tokens = prompt(world, asked, passages, world.objects[passages])
        return _right(weights, world, tokens, asked)

    def at_hand(share: float, many: int) -> Array:
        """Passages with the right one in just that share of the cases."""
        lot = jax.random.permutation(next(keys), world.facts)
        hit = lot < round(share * world.facts)
        return with_passages(next(keys), world, asked, hit, many)

    tuned = {share: _tuned(settings, weights, world, order, share)
             for share in (0.0, settings.replay, 1.0)}  # fmt: skip
    half = at_hand(0.7, settings.passages)
    answers = {
        "as it is": _right(weights, world, alone, asked),
        **{
            f"recall {share:g}": open_book(weights, at_hand(share, settings.passages))
            for share in settings.recalls
        },
        "index": open_book(weights, found),
        "tuned, no replay": _right(tuned[0.0].weights, world, alone, asked),
        "tuned, some replay": _right(tuned[settings.replay].weights, world, alone, asked),
        "tuned, all replayed": _right(tuned[1.0].weights, world, alone, asked),
        "tuned and recall 0.7": open_book(tuned[1.0].weights, half),
        "tuned and index": open_book(tuned[1.0].weights, found),
        "tuned, no replay, and index": open_book(tuned[0.0].weights, found),
    }
    accuracy = {way: right.mean() for way, right in answers.items()}
    moved = {way: right[order[:changed]].mean() for way, right in answers.items()}
    rest = {way: right[order[changed:]].mean() for way, right in answers.items()}
    reading = {many: open_book(weights, at_hand(1.0, many)).mean() for many in settings.counts}

    # Asked in the old world, in which the model knows what it knows.
    knows = _right(weights, past, alone, asked)
    nothing = with_passages(next(keys), past, asked, jnp.zeros(past.facts, bool), settings.passages)
    still = _right(weights, past, prompt(past, asked, nothing, past.objects[nothing]), asked)
    misled = 1.0 - (knows & still).sum() / knows.sum()
    spared = order[changed + round(settings.replay * (world.facts - changed)) :]
    knew = knows[spared].mean()
    forgetting = {share: 1.0 - tuned[share].spared[-1] / knew for share in (0.0, settings.replay)}
    return accuracy, moved, rest, reading, misled, tuned[0.0].changed, forgetting


def summary(values: np.ndarray, share: float = 0.9) -> tuple[float, float, float]:
    """Mean over the seeds, and an interval that holds it.

    Args:
        values: by seed.
        share: probability that the interval holds.

    Returns:
        Mean, low and high: Student's t, within 0 and 1.
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, 0.0, 1.0
    reach = stats.t.ppf(0.5 + 0.5 * share, len(values) - 1) * stats.sem(values)
    return mean, max(mean - reach, 0.0), min(mean + reach, 1.0)


def accuracies(study: Study) -> pd.DataFrame:
    """Right answers by way to answer, for charts and tables.

    Args:
        study: as run.

    Returns:
        A row for every way and kind of fact (all, changed, unchanged): mean, low, high.
    """
    kinds = {"all": study.accuracy, "changed": study.changed, "unchanged": study.unchanged}
    rows = [
        (way, kind, *summary(by_seed))
        for kind, ways in kinds.items()
        for way, by_seed in ways.items()
    ]
    return pd.DataFrame(rows, columns=["way", "facts", "mean", "low", "high"])
