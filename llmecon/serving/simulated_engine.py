"""An engine that batches continuously, step by step, as `simulation` runs it."""

import heapq
import math
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import simpy
from jaxtyping import Array

from llmecon.errors import InputError
from llmecon.physics.roofline import forward_pass
from llmecon.serving import OperatingPoint, largest_batch, operating_point
from llmecon.specs import Instance, Workload

Numbers = npt.NDArray[np.float64]
Process = Generator[simpy.Event, None, None]

# Batches at which a decode step is priced; between them its time is close to linear.
PRICED_BATCHES = 64


@dataclass(frozen=True)
class Prices:
    """What the engine's steps cost.

    Attributes:
        decode: seconds of a decode step, by the number of requests in it, from 0 to all slots.
        prompt_token: seconds that a prompt token adds to a pass.
        begin: seconds of a pass over prompts alone, beside what their tokens add.
        interference: prefill work felt by decoding requests, as a multiple of it.
    """

    decode: list[float]
    prompt_token: float
    begin: float
    interference: float

    @property
    def slots(self) -> int:
        """Requests in flight at most."""
        return len(self.decode) - 1

    def step(self, decoding: int, prompt_tokens: int) -> float:
        """Seconds of a step that decodes for some requests and computes some prompt tokens."""
        prompts = prompt_tokens * self.prompt_token
        alone = self.begin + prompts
        if not (decoding and prompt_tokens):
            return self.decode[decoding] if decoding else alone
        others = self.decode[decoding]
        return others + self.interference * max(prompts, alone - others)


# Compiling takes seconds and running takes milliseconds: optimise the former.
quick_jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


@quick_jit
def _priced(instance: Instance, workload: Workload) -> tuple[Array, Array, Array, OperatingPoint]:
    """Slots, batches up to them, a decode step's seconds at each, and a point with the prompts'."""
    slots = largest_batch(instance, workload)
    batches = jnp.geomspace(1.0, jnp.maximum(slots, 1.0), PRICED_BATCHES)
    past = workload.mean_context - 1.0

    def decode(batch: Array) -> Array:
        one = jnp.asarray(1.0)
        cost = forward_pass(instance, batch, one, past)
        return instance.efficiency.decode_multiple * cost.seconds

    point = operating_point(instance, workload, jnp.asarray(1.0))
    return slots, batches, jax.vmap(decode)(batches), point


def prices_of(instance: Instance, workload: Workload) -> Prices:
    """What the steps of an engine cost on an instance.

    Args:
        instance: model, accelerator, layout and what it attains.
        workload: mean lengths, at which passes are priced.

    Raises:
        InputError: the instance holds no request.
    """
    *found, point = _priced(instance, workload)
    slots, batches, decode = (np.asarray(value) for value in found)
    if float(slots) < 1.0:
        raise InputError(
            "the weights and one request's KV cache do not fit in the instance's memory; use more "
            "devices, a smaller model or fewer bytes per weight"
        )
    each = np.interp(np.arange(1, math.floor(slots) + 1), batches, decode)
    added = float(point.chunked_prefill)
    return Prices(
        decode=[0.0, *each.tolist()],
        prompt_token=added / max(float(workload.computed_prompt_tokens), 1.0),
        begin=float(point.prefill) - added,
        interference=float(instance.efficiency.prefill_interference),
    )


class Request:
    """A request on its way; times are NaN until they are known."""

    __slots__ = (
        "admitted",
        "arrival",
        "done",
        "first_token",
        "last_token",
        "number",
        "output",
        "prompt",
    )

    def __init__(self, number: int, prompt: int, output: int, done: simpy.Event) -> None:
        self.number = number
        self.prompt = prompt
        self.output = output
        self.done = done
        self.arrival = self.admitted = self.first_token = self.last_token = float("nan")


class Engine:
    """One scheduler: its queue, its slots and its steps."""

    def __init__(
        self, environment: simpy.Environment, prices: Prices, chunk: int, disaggregated: bool
    ) -> None:
        self._environment = environment
        self._prices = prices
        self._chunk = chunk
        # Set off and replaced whenever an idle process might have something to do again.
        self._news = environment.event()
        self._waiting: deque[Request] = deque()
        self._held = 0
        self._prompts: deque[Request] = deque()
        self._computed = 0
        self._ready: list[Request] = []
        # Every request decodes in every step: counting steps tells when each of them ends.
        self._steps = 0
        self._ends: list[tuple[int, int, Request]] = []
        if disaggregated:
            environment.process(self._prefill())
            environment.process(self._decode())
        else:
            environment.process(self._mix())

    def submit(self, request: Request) -> None:
        """Put a request into the queue."""
        request.arrival = self._environment.now
        self._waiting.append(request)
        self._tell()

    def _mix(self) -> Process:
        """Compute prompts between the tokens of other requests."""
        while True:
            self._admit()
            tokens, complete = self._next_chunk()
            decoding = self._join()
            if tokens or decoding:
                yield self._environment.timeout(self._prices.step(decoding, tokens))
                self._end_step()
                self._start_output(complete)
                # Clients that got their last token ask again before the next step is composed.
                yield self._environment.timeout(0.0)
            else:
                yield self._news

    def _prefill(self) -> Process:
        """Compute prompts on an instance of their own."""
        while True:
            self._admit()
            tokens, complete = self._next_chunk()
            if tokens:
                yield self._environment.timeout(self._prices.step(0, tokens))
                self._start_output(complete)
            else:
                yield self._news

    def _decode(self) -> Process:
        """Write tokens on an instance that computes no prompts."""
        while True:
            decoding = self._join()
            if decoding:
                yield self._environment.timeout(self._prices.step(decoding, 0))
                self._end_step()
            else:
                yield self._news

    def _admit(self) -> None:
        """Give free slots to those who have waited longest."""
        while self._waiting and self._held < self._prices.slots:
            self._held += 1
            request = self._waiting.popleft()
            request.admitted = self._environment.now
            self._prompts.append(request)

    def _next_chunk(self) -> tuple[int, list[Request]]:
        """Take prompt tokens for a step: how many, and the requests whose prompts it completes."""
        tokens = 0
        complete = []
        while self._prompts and tokens < self._chunk:
            left = self._prompts[0].prompt - self._computed
            taken = min(left, self._chunk - tokens)
            tokens += taken
            self._computed += taken
            if taken == left:
                complete.append(self._prompts.popleft())
                self._computed = 0
        return tokens, complete

    def _join(self) -> int:
        """Let those with a first token decode from now on; returns how many decode."""
        for request in self._ready:
            end = self._steps + request.output - 1
            heapq.heappush(self._ends, (end, request.number, request))
        self._ready.clear()
        return len(self._ends)

    def _start_output(self, complete: list[Request]) -> None:
        """Hand out first tokens."""
        for request in complete:
            request.first_token = self._environment.now
            if request.output > 1:
                self._ready.append(request)
            else:
                self._finish(request)
        if complete:
            self._tell()

    def _end_step(self) -> None:
        """Hand out a token to everyone who decodes."""
        self._steps += 1
        while self._ends and self._ends[0][0] == self._steps:
            self._finish(heapq.heappop(self._ends)[2])

    def _finish(self, request: Request) -> None:
        request.last_token = self._environment.now
        self._held -= 1
        request.done.succeed()
        self._tell()

    def _tell(self) -> None:
        self._news.succeed()
        self._news = self._environment.event()
