"""What this machine attains: matrix products, a copy and the steps of a small transformer, timed.

The best product gives the arithmetic rate, the copy the bandwidth. From these two alone the
roofline predicts the other products and the transformer's steps, which are timed as well. All run
as the book is built: in single precision, on one core, beside whatever else the machine does.
"""

import itertools
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from llmecon import physics
from llmecon.execution.disk_cache import digest
from llmecon.execution.disk_cache import kept as from_disk
from llmecon.physics import PassCost, Product
from llmecon.specs import DATASHEET, LLM, XPU, Deployment, Instance, Precision

Work = Callable[[], Any]

BYTES = 4.0
"""In a number of single precision."""

# As the book compiles, but optimised: it is running that is timed.
_OPTIMISED = {"xla_backend_optimization_level": 3}
# Rounds in which all that is timed takes turns.
_ROUNDS = 4


@dataclass(frozen=True)
class Settings:
    """What is timed.

    Attributes:
        inner: rows of a matrix of weights.
        columns: of the matrix.
        matrices: that take turns, so that no cache keeps the one that is next.
        rows: of activations, one product each; the best gives the arithmetic rate.
        copied: numbers that a copy reads and writes.
        layers: of the transformer.
        width: of its residual stream.
        heads: of its attention; each has its own keys and values.
        hidden: width of its feed-forward network.
        vocabulary: tokens that it chooses among.
        past: tokens cached before a step.
        batches: sequences of its decode steps.
        prompt: tokens of the prompt that it reads.
        seconds: for which each is repeated; the quickest repetition counts.
    """

    inner: int = 2048
    columns: int = 2048
    matrices: int = 8
    rows: tuple[int, ...] = (1, 4, 16, 64, 256)
    copied: int = 2**26
    layers: int = 4
    width: int = 768
    heads: int = 12
    hidden: int = 3072
    vocabulary: int = 4096
    past: int = 256
    batches: tuple[int, ...] = (1, 8, 32)
    prompt: int = 256
    seconds: float = 0.2


@dataclass(frozen=True)
class Rates:
    """What was timed.

    Attributes:
        settings: of the experiment.
        machine: on which, in words.
        products: seconds of a product by its rows.
        copy: seconds of the copy.
        decode: seconds of a decode step by its sequences.
        prefill: seconds of the pass over the prompt.
    """

    settings: Settings
    machine: str
    products: dict[int, float]
    copy: float
    decode: dict[int, float]
    prefill: float

    @property
    def flops(self) -> float:
        """Arithmetic that the best of the products attains, FLOP/s."""
        each = 2.0 * self.settings.inner * self.settings.columns
        return max(each * rows / seconds for rows, seconds in self.products.items())

    @property
    def bandwidth(self) -> float:
        """Bytes that a copy reads and writes a second."""
        return 2.0 * BYTES * self.settings.copied / self.copy

    def product(self, rows: ArrayLike) -> Product:
        """A product with the matrices that were timed, of any number of rows."""
        return Product(rows, self.settings.inner, self.settings.columns, BYTES, BYTES)


class Layer(NamedTuple):
    """The weights of a layer.

    Attributes:
        query: to the queries.
        key: to the keys.
        value: to the values.
        output: from the heads.
        up: into the feed-forward network.
        down: out of it.
    """

    query: Array
    key: Array
    value: Array
    output: Array
    up: Array
    down: Array


def run(settings: Settings | None = None) -> Rates:
    """Time everything.

    Args:
        settings: what is timed.

    Returns:
        Seconds, other ones whenever it is run.
    """
    of = Settings() if settings is None else settings
    some = np.random.default_rng(0).uniform(-1.0, 1.0, 100_003).astype(np.float32)

    def numbers(*shape: int) -> Array:
        # Any numbers will do, but that results must stay of their size.
        return jnp.asarray(np.resize(some, shape) / np.float32(np.sqrt(shape[-1])))

    matrices = [numbers(of.inner, of.columns) for _ in range(of.matrices)]

    def product(rows: int) -> Work:
        given = numbers(rows, of.inner)
        return _calls(jnp.matmul, *((given, weights) for weights in matrices))

    size = of.width // of.heads
    square = (of.width, of.width)
    shapes = (*[square] * 4, (of.width, of.hidden), (of.hidden, of.width))
    layers = [Layer(*(numbers(*shape) for shape in shapes)) for _ in range(of.layers)]
    head = numbers(of.width, of.vocabulary)

    def step(sequences: int, new: int, past: int) -> Work:
        shape = (sequences, of.heads, past, size)
        cache = [(numbers(*shape), numbers(*shape)) for _ in layers]
        given = numbers(sequences, new, of.width)
        return _calls(partial(forward, of.heads), (layers, head, given, cache))

    works = {("product", rows): product(rows) for rows in of.rows}
    works |= {("decode", sequences): step(sequences, 1, of.past) for sequences in of.batches}
    works |= {("prefill", 1): step(1, of.prompt, 0), ("copy", 1): _copy(numbers(of.copied))}
    took = _least(of, works)
    return Rates(
        settings=of,
        machine=machine(),
        products={rows: took["product", rows] for rows in of.rows},
        copy=took["copy", 1],
        decode={sequences: took["decode", sequences] for sequences in of.batches},
        prefill=took["prefill", 1],
    )


def kept(settings: Settings | None = None) -> Rates:
    """What was timed, once on a machine for a version of this module and from disk afterwards.

    Args:
        settings: as in `run`.

    Returns:
        As `run`; never what another kind of machine did.
    """
    asked = Settings() if settings is None else settings
    key = digest(Path(__file__).read_bytes(), machine(), repr(asked))
    return from_disk("rates", key, lambda: run(asked))


def machine() -> str:
    """The processor and its cores, in words."""
    name = platform.processor() or platform.machine()
    told = Path("/proc/cpuinfo")
    if told.is_file():
        lines = told.read_text(encoding="utf-8", errors="ignore").splitlines()
        name = next((of.partition(":")[2] for of in lines if of.startswith("model name")), name)
    return f"{' '.join(name.split())}, {platform.system()}, {os.cpu_count()} cores"


def forward(
    heads: int,
    layers: Sequence[Layer],
    head: Float[Array, "width vocabulary"],
    x: Float[Array, "sequences new width"],
    cache: Sequence[tuple[Array, Array]],
) -> tuple[Float[Array, "sequences vocabulary"], list[tuple[Array, Array]]]:
    """A pass of a transformer over new tokens, with those before them in its cache.

    Args:
        heads: of its attention.
        layers: its weights.
        head: from the last token to the vocabulary.
        x: the new tokens.
        cache: keys and values of the tokens before, by layer: sequences, heads, tokens, size.

    Returns:
        Scores of the next token, and the new tokens' keys and values by layer.
    """
    new, past = x.shape[1], cache[0][0].shape[2]
    seen = jnp.arange(past + new) <= past + jnp.arange(new)[:, None]
    scale = jnp.float32((x.shape[2] / heads) ** -0.5)

    def normal(x: Array) -> Array:
        return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + jnp.float32(1e-6))

    def apart(x: Array) -> Array:
        return x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)

    made = []
    # One after the other, not by a loop of the compiler's, which would copy each layer's weights.
    for of, (known, held) in zip(layers, cache, strict=True):
        y = normal(x)
        query, key, value = (apart(y @ by) for by in (of.query, of.key, of.value))
        old = jnp.einsum("bhqd,bhkd->bhqk", query, known)
        own = jnp.einsum("bhqd,bhkd->bhqk", query, key)
        scores = jnp.concatenate([old, own], axis=-1) * scale
        share = jax.nn.softmax(jnp.where(seen, scores, jnp.float32(-1e9)), axis=-1)
        mixed = jnp.einsum("bhqk,bhkd->bhqd", share[..., :past], held) + jnp.einsum(
            "bhqk,bhkd->bhqd", share[..., past:], value
        )
        x = x + mixed.swapaxes(1, 2).reshape(x.shape) @ of.output
        x = x + jax.nn.relu(normal(x) @ of.up) @ of.down
        made.append((key, value))
    return normal(x[:, -1]) @ head, made


def predicted(measured: Rates, sequences: float, new: float, past: float) -> PassCost:
    """What the library's forward pass says of the transformer, from the two rates alone.

    Args:
        measured: with the rates and the transformer's sizes.
        sequences: in the pass.
        new: tokens of each that are computed.
        past: tokens of each in the cache.

    Returns:
        The pass on a device that attains both rates and to which nothing is added.
    """
    device = XPU(
        **dict.fromkeys(XPU.__dataclass_fields__, 1.0)
        | dict.fromkeys(("bf16_flops", "fp8_flops", "fp4_flops"), measured.flops)
        | {"memory_bandwidth": measured.bandwidth}
    )
    alone = Deployment(precision=Precision(32.0, *[BYTES] * 5))
    found: PassCost = physics.forward_pass(
        Instance(architecture(measured.settings), device, alone, DATASHEET),
        *(jnp.asarray(of, float) for of in (sequences, new, past)),
    )
    return found


def architecture(settings: Settings) -> LLM:
    """The transformer as the models know one."""
    size = settings.width / settings.heads
    given = {
        "layers": settings.layers,
        "width": settings.width,
        "heads": settings.heads,
        "kv_heads": settings.heads,
        "head_dim": size,
        "value_dim": size,
        "ff_width": settings.hidden,
        "ff_matrices": 2.0,
        "vocabulary": settings.vocabulary,
        "context": settings.past + settings.prompt,
    }
    return LLM(**dict.fromkeys(LLM.__dataclass_fields__, 0.0) | given)


def _copy(numbers: Array) -> Work:
    """A pass over numbers that reads and writes each of them in its place."""
    # To add is the least that makes a compiler move them all; new memory would cost extra.
    program = jax.jit(lambda x: x + jnp.float32(1.0), donate_argnums=0, compiler_options=_OPTIMISED)
    held = [program(numbers)]

    def once() -> None:
        held[0] = jax.block_until_ready(program(held[0]))

    return once


def _calls(function: Callable[..., Any], *given: tuple[Any, ...]) -> Work:
    """A call of a function, compiled, whose arguments take turns."""
    program = jax.jit(function, compiler_options=_OPTIMISED)
    turns = itertools.cycle(given)
    for each in given:
        jax.block_until_ready(program(*each))
    return lambda: jax.block_until_ready(program(*next(turns)))


def _least(
    settings: Settings, works: Mapping[tuple[str, int], Work]
) -> dict[tuple[str, int], float]:
    """Seconds of the quickest repetition of each.

    All take turns, so that a machine which is busy for a while is as busy for what is predicted as
    for the rates that predict it.
    """
    least = dict.fromkeys(works, np.inf)
    for _ in range(_ROUNDS):
        for name, once in works.items():
            spent = 0.0
            while spent < settings.seconds / _ROUNDS:
                begun = time.perf_counter()
                once()
                took = time.perf_counter() - begun
                spent, least[name] = spent + took, min(least[name], took)
    return least
