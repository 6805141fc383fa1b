"""A discrete-event simulation of a service under load, the check on `serving`'s closed forms.

The engine batches continuously, step by step [Kwon2023], and mixes chunks of prompts into decode
steps [Agrawal2024]. Requests wait first come, first served, until one of the largest batch's slots
is free. In every step each request whose prompt is complete decodes one token, and up to a chunk of
the prompts that have been admitted is computed, in order of arrival. A prompt's first token comes
at the end of the step that completes it. A step with n requests decoding and k prompt tokens
lasts ::

    decode(n) + interference * max(prompts, begin + prompts - decode(n))
    begin + prompts                                                         if none decodes

where `prompts` is k times what one more prompt token adds to a pass, and `begin` what a pass over
prompts alone costs beside.

Passes cost what `roofline` says, so only what happens between them is checked: batches that vary,
queues, bursts and long requests. Decode is priced at the mean context and prompts in proportion to
their length; work on a request outside the engine is left out, except that `compare` adds it. An
instance is one scheduler: no attention groups, pipeline stages or draft tokens.
"""

import heapq
import math
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import simpy
from jaxtyping import Array, Float

from llmecon.errors import InputError
from llmecon.physics.roofline import attention_groups, forward_pass
from llmecon.serving import (
    CHUNK,
    OperatingPoint,
    Service,
    full_rate,
    largest_batch,
    operating_point,
    serve,
)
from llmecon.specs import LLM, XPU, Deployment, Efficiency, Workload

Scalar = Float[Array, "..."]
Numbers = npt.NDArray[np.float64]
Process = Generator[simpy.Event, None, None]

# Batches at which a decode step is priced; between them its time is close to linear.
PRICED_BATCHES = 64


@dataclass(frozen=True)
class Record:
    """What happened to every request of a simulation, in order of arrival.

    Attributes:
        arrival: when each request was sent, s.
        admitted: when it got its slot in the batch, s.
        first_token: when its first output token was ready, s.
        last_token: when its last one was, s.
        output_tokens: how many it got.
        warmup: share of the requests, from the first, that the summaries leave out.
    """

    arrival: Numbers
    admitted: Numbers
    first_token: Numbers
    last_token: Numbers
    output_tokens: Numbers
    warmup: float

    @property
    def ttft(self) -> Numbers:
        """Time to first token of each request after the warm-up, s."""
        return (self.first_token - self.arrival)[self._skipped :]

    @property
    def tpot(self) -> Numbers:
        """Mean time between the tokens of each request after the warm-up that has several, s."""
        gaps = self.output_tokens[self._skipped :] - 1.0
        span = (self.last_token - self.first_token)[self._skipped :]
        return span[gaps > 0.0] / gaps[gaps > 0.0]

    @property
    def latency(self) -> Numbers:
        """Time from sending to last token of each request after the warm-up, s."""
        return (self.last_token - self.arrival)[self._skipped :]

    @property
    def mean_ttft(self) -> float:
        """Mean time to first token, s."""
        return float(np.mean(self.ttft))

    @property
    def mean_tpot(self) -> float:
        """Mean over requests of the time per output token, s; NaN if all have only one."""
        tpot = self.tpot
        return float(np.mean(tpot)) if tpot.size else float("nan")

    def ttft_quantile(self, quantile: float) -> float:
        """The TTFT that a share of requests stays below.

        Args:
            quantile: the share, between 0 and 1.

        Returns:
            The time, s.

        Raises:
            InputError: the share is not between 0 and 1.
        """
        if not 0.0 <= quantile <= 1.0:
            raise InputError(f"quantile {quantile} is not a share; use one from 0 to 1")
        return float(np.quantile(self.ttft, quantile))

    @property
    def requests_per_second(self) -> float:
        """Requests sent per second between the warm-up and the last arrival."""
        start, end = self._window
        return (self.arrival.size - 1 - self._skipped) / (end - start)

    @property
    def output_tokens_per_second(self) -> float:
        """Output tokens made per second between the warm-up and the last arrival."""
        start, end = self._window
        firsts = np.count_nonzero((self.first_token > start) & (self.first_token <= end))
        # A request's other tokens come evenly, which is near enough over a long window.
        span = np.maximum(self.last_token - self.first_token, 1e-30)
        inside = _overlap(self.first_token, self.last_token, start, end) / span
        return float(firsts + np.sum((self.output_tokens - 1.0) * inside)) / (end - start)

    @property
    def mean_in_flight(self) -> float:
        """Requests sent and not finished, averaged over time after the warm-up."""
        return self._mean_between(self.arrival)

    @property
    def mean_batch(self) -> float:
        """Requests that hold a slot, averaged over time after the warm-up."""
        return self._mean_between(self.admitted)

    @property
    def _skipped(self) -> int:
        return int(self.warmup * self.arrival.size)

    @property
    def _window(self) -> tuple[float, float]:
        # After the last arrival the system only drains, which is no steady state.
        return float(self.arrival[self._skipped]), float(self.arrival[-1])

    def _mean_between(self, begin: Numbers) -> float:
        start, end = self._window
        return float(np.sum(_overlap(begin, self.last_token, start, end))) / (end - start)


def _overlap(begin: Numbers, finish: Numbers, start: float, end: float) -> Numbers:
    """How much of each interval falls between two times, s."""
    return np.maximum(np.minimum(finish, end) - np.maximum(begin, start), 0.0)


@dataclass(frozen=True)
class _Prices:
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
_quick_jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


@_quick_jit
def _priced(
    llm: LLM, xpu: XPU, deployment: Deployment, workload: Workload, efficiency: Efficiency
) -> tuple[Array, Array, Array, OperatingPoint]:
    """Slots, batches up to them, a decode step's seconds at each, and a point with the prompts'."""
    slots = largest_batch(llm, xpu, deployment, workload, efficiency)
    batches = jnp.geomspace(1.0, jnp.maximum(slots, 1.0), PRICED_BATCHES)
    past = workload.mean_context - 1.0

    def decode(batch: Array) -> Array:
        one = jnp.asarray(1.0)
        cost = forward_pass(llm, xpu, deployment, efficiency, batch, one, past)
        return efficiency.decode_multiple * cost.seconds

    point = operating_point(llm, xpu, deployment, workload, efficiency, jnp.asarray(1.0))
    return slots, batches, jax.vmap(decode)(batches), point


def _prices(
    llm: LLM, xpu: XPU, deployment: Deployment, workload: Workload, efficiency: Efficiency
) -> _Prices:
    *found, point = _priced(llm, xpu, deployment, workload, efficiency)
    slots, batches, decode = (np.asarray(value) for value in found)
    if float(slots) < 1.0:
        raise InputError(
            "the weights and one request's KV cache do not fit in the instance's memory; use more "
            "devices, a smaller model or fewer bytes per weight"
        )
    each = np.interp(np.arange(1, math.floor(slots) + 1), batches, decode)
    added = float(point.chunked_prefill)
    return _Prices(
        decode=[0.0, *each.tolist()],
        prompt_token=added / max(float(workload.computed_prompt_tokens), 1.0),
        begin=float(point.prefill) - added,
        interference=float(efficiency.prefill_interference),
    )


class _Request:
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


class _Engine:
    """One scheduler: its queue, its slots and its steps."""

    def __init__(
        self, environment: simpy.Environment, prices: _Prices, chunk: int, disaggregated: bool
    ) -> None:
        self._environment = environment
        self._prices = prices
        self._chunk = chunk
        # Set off and replaced whenever an idle process might have something to do again.
        self._news = environment.event()
        self._waiting: deque[_Request] = deque()
        self._held = 0
        self._prompts: deque[_Request] = deque()
        self._computed = 0
        self._ready: list[_Request] = []
        # Every request decodes in every step: counting steps tells when each of them ends.
        self._steps = 0
        self._ends: list[tuple[int, int, _Request]] = []
        if disaggregated:
            environment.process(self._prefill())
            environment.process(self._decode())
        else:
            environment.process(self._mix())

    def submit(self, request: _Request) -> None:
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

    def _next_chunk(self) -> tuple[int, list[_Request]]:
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

    def _start_output(self, complete: list[_Request]) -> None:
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

    def _finish(self, request: _Request) -> None:
        request.last_token = self._environment.now
        self._held -= 1
        request.done.succeed()
        self._tell()

    def _tell(self) -> None:
        self._news.succeed()
        self._news = self._environment.event()


Draw = np.random.Generator
Pool = Iterator[_Request]
System = tuple[LLM, XPU, Deployment, Workload, Efficiency]


def uniform_lengths(workload: Workload, shortest: float) -> Workload:
    """The workload that a load generator makes of nominal lengths.

    Args:
        workload: its mean lengths are taken as the nominal ones.
        shortest: the shortest length as a share of the nominal one, which is the longest.

    Returns:
        The workload with the means and coefficients of variation of uniform lengths between them.

    Raises:
        InputError: the share is not above 0 and at most 1.
    """
    if not 0.0 < shortest <= 1.0:
        raise InputError(
            f"shortest length {shortest} is not a share of the nominal one; use one above 0 and up "
            "to 1"
        )
    mean = 0.5 * (1.0 + shortest)
    cv = (1.0 - shortest) / (1.0 + shortest) / np.sqrt(3.0)
    return Workload(
        prompt_tokens=workload.prompt_tokens * mean,
        output_tokens=workload.output_tokens * mean,
        cached_fraction=workload.cached_fraction,
        prompt_cv=cv,
        output_cv=cv,
        interarrival_cv=workload.interarrival_cv,
    )


def open_loop(
    llm: LLM,
    xpu: XPU,
    deployment: Deployment,
    workload: Workload,
    efficiency: Efficiency,
    *,
    rate: float,
    requests: int = 2000,
    warmup: float = 0.2,
    shortest: float | None = None,
    chunk: int = int(CHUNK),
    seed: int = 0,
) -> Record:
    """Simulate an instance whose requests come at a rate, however long they take.

    Args:
        llm: the model.
        xpu: the accelerator.
        deployment: the layout of the instance.
        workload: lengths, lognormal, and gamma-distributed times between arrivals.
        efficiency: attained shares and overheads.
        rate: requests arriving per second on average, > 0.
        requests: how many arrive; all are served to their end.
        warmup: share of them, from the first, that the record's summaries leave out.
        shortest: if given, lengths are those of `uniform_lengths` instead.
        chunk: prompt tokens computed in one step at most.
        seed: of the random numbers; the same seed gives the same record.

    Returns:
        What happened to every request.

    Raises:
        InputError: an argument is out of range, the model does not fit, or the deployment has more
            than one scheduler, draft tokens or a fraction of disaggregation.
    """
    if not 0.0 < rate < np.inf:
        raise InputError(f"{rate} requests per second is no rate; use a number above 0")
    cv = float(workload.interarrival_cv)

    def send(environment: simpy.Environment, engine: _Engine, draw: Draw, pool: Pool) -> Process:
        for request in pool:
            # A gamma variable of this shape has the wanted coefficient of variation.
            gap = draw.gamma(cv**-2.0, cv**2.0 / rate) if cv > 0.0 else 1.0 / rate
            yield environment.timeout(gap)
            engine.submit(request)

    system = (llm, xpu, deployment, workload, efficiency)
    return _simulate(system, send, 1, requests, warmup, shortest, chunk, seed)


def closed_loop(
    llm: LLM,
    xpu: XPU,
    deployment: Deployment,
    workload: Workload,
    efficiency: Efficiency,
    *,
    clients: int,
    requests: int = 2000,
    warmup: float = 0.2,
    shortest: float | None = None,
    chunk: int = int(CHUNK),
    seed: int = 0,
) -> Record:
    """Simulate an instance whose clients each ask again the moment their last request ends.

    Args:
        llm: the model.
        xpu: the accelerator.
        deployment: the layout of the instance.
        workload: lengths, lognormal.
        efficiency: attained shares and overheads.
        clients: how many there are; all start at once.
        requests: how many they send together, more than `clients`; all are served to their end.
        warmup: share of them, from the first, that the record's summaries leave out.
        shortest: if given, lengths are those of `uniform_lengths` instead.
        chunk: prompt tokens computed in one step at most.
        seed: of the random numbers; the same seed gives the same record.

    Returns:
        What happened to every request.

    Raises:
        InputError: an argument is out of range, the model does not fit, or the deployment has more
            than one scheduler, draft tokens or a fraction of disaggregation.
    """
    if not 1 <= clients < requests:
        raise InputError(
            f"{clients} clients cannot send {requests} requests in turns; use at least 1 client "
            "and more requests than clients"
        )

    def send(environment: simpy.Environment, engine: _Engine, draw: Draw, pool: Pool) -> Process:
        for request in pool:
            engine.submit(request)
            yield request.done

    system = (llm, xpu, deployment, workload, efficiency)
    return _simulate(system, send, clients, requests, warmup, shortest, chunk, seed)


@dataclass(frozen=True)
class Figures:
    """What users of a service feel, and what it makes.

    Attributes:
        ttft: mean time to first token, s.
        ttft_quantile: TTFT that the compared share of requests stays below, s.
        tpot: mean time per output token, s.
        output_rate: output tokens per second.
    """

    ttft: float
    ttft_quantile: float
    tpot: float
    output_rate: float


@dataclass(frozen=True)
class Comparison:
    """The same service at one load, simulated and by `serving.serve`.

    Attributes:
        load: offered over the most that the instance can complete.
        rate: requests arriving per second.
        simulated: found by `open_loop`, with the closed form's work outside the engine added.
        closed_form: what `serving.serve` says.
    """

    load: float
    rate: float
    simulated: Figures
    closed_form: Figures


@_quick_jit
def _served(system: System, load: Array, quantile: Array) -> Service:
    """The closed form at a load."""
    return serve(*system, load * full_rate(*system), quantile)


def compare(
    llm: LLM,
    xpu: XPU,
    deployment: Deployment,
    workload: Workload,
    efficiency: Efficiency,
    loads: Sequence[float] = (0.05, 0.2, 0.4, 0.6, 0.8, 0.9),
    *,
    quantile: float = 0.99,
    requests: int = 6000,
    chunk: int = int(CHUNK),
    seed: int = 0,
) -> tuple[Comparison, ...]:
    """A service simulated at several loads, beside what the closed form says of it.

    Args:
        llm: the model.
        xpu: the accelerator.
        deployment: the layout of the instance.
        workload: lengths and burstiness.
        efficiency: attained shares and overheads; the multiple of TTFT that measurements add to
            the scheduler's counts in neither.
        loads: offered over the most that the instance can complete, above 0 and below 1: what
            people wait beyond depends on how long they have been too many.
        quantile: share of requests that `ttft_quantile` covers.
        requests: how many arrive in each simulation; the more, the less its figures scatter. About
            10,000 take a second.
        chunk: prompt tokens computed in one step at most.
        seed: of the random numbers.

    Returns:
        A comparison for each load.

    Raises:
        InputError: a load is not between 0 and 1, or the arguments are none that `open_loop` takes.
    """
    for load in loads:
        if not 0.0 < load < 1.0:
            raise InputError(f"load {load} cannot be compared; use a number above 0 and below 1")
    scheduled = eqx.tree_at(lambda of: of.first_token_multiple, efficiency, jnp.ones(()))
    system = (llm, xpu, deployment, workload, scheduled)
    outside = float(efficiency.request_time)
    found = []
    for load in loads:
        service = _served(system, jnp.asarray(load, float), jnp.asarray(quantile, float))
        rate = float(service.offered)
        record = open_loop(*system, rate=rate, requests=requests, chunk=chunk, seed=seed)
        simulated = Figures(
            ttft=outside + record.mean_ttft,
            ttft_quantile=outside + record.ttft_quantile(quantile),
            tpot=record.mean_tpot,
            output_rate=record.output_tokens_per_second,
        )
        closed = Figures(
            ttft=float(service.ttft),
            ttft_quantile=float(service.ttft_quantile),
            tpot=float(service.point.tpot),
            output_rate=float(service.point.rate * workload.output_tokens),
        )
        found.append(Comparison(load=load, rate=rate, simulated=simulated, closed_form=closed))
    return tuple(found)


def _simulate(
    system: System,
    send: Callable[[simpy.Environment, _Engine, Draw, Pool], Process],
    senders: int,
    requests: int,
    warmup: float,
    shortest: float | None,
    chunk: int,
    seed: int,
) -> Record:
    """Let senders that share a pool of requests send them all, and wait for the last token."""
    llm, xpu, deployment, workload, efficiency = system
    _check(deployment, workload, requests, warmup, chunk)
    if shortest is not None:
        workload = uniform_lengths(workload, shortest)
    prices = _prices(llm, xpu, deployment, workload, efficiency)
    draw = np.random.default_rng(seed)
    uniform = shortest is not None
    prompts = _lengths(draw, requests, workload.computed_prompt_tokens, workload.prompt_cv, uniform)
    outputs = _lengths(draw, requests, workload.output_tokens, workload.output_cv, uniform)

    environment = simpy.Environment()
    engine = _Engine(environment, prices, chunk, disaggregated=bool(deployment.disaggregated > 0))
    sent = [
        _Request(number, prompt, output, environment.event())
        for number, (prompt, output) in enumerate(zip(prompts, outputs, strict=True))
    ]
    pool = iter(sent)
    for _ in range(senders):
        environment.process(send(environment, engine, draw, pool))
    environment.run()
    return Record(
        arrival=np.array([request.arrival for request in sent]),
        admitted=np.array([request.admitted for request in sent]),
        first_token=np.array([request.first_token for request in sent]),
        last_token=np.array([request.last_token for request in sent]),
        output_tokens=np.array(outputs, float),
        warmup=warmup,
    )


def _lengths(draw: Draw, requests: int, mean: Scalar, cv: Scalar, uniform: bool) -> list[int]:
    """Random lengths in whole tokens, at least 1."""
    if uniform:
        half = np.sqrt(3.0) * float(cv)
        shares = draw.uniform(1.0 - half, 1.0 + half, requests)
    else:
        variance = np.log1p(float(cv) ** 2)
        shares = draw.lognormal(-0.5 * variance, np.sqrt(variance), requests)
    lengths: list[int] = np.maximum(np.rint(float(mean) * shares), 1.0).astype(int).tolist()
    return lengths


def _check(
    deployment: Deployment, workload: Workload, requests: int, warmup: float, chunk: int
) -> None:
    """Refuse what the simulation would get wrong."""
    if requests < 2:
        raise InputError(f"{requests} requests show no rate; use at least 2")
    if not 0.0 <= warmup < 1.0 or int(warmup * requests) > requests - 2:
        raise InputError(
            f"a warm-up of {warmup} of {requests} requests leaves too few; use a share from 0 to "
            f"{(requests - 2) / requests:g}"
        )
    if chunk < 1:
        raise InputError(f"a chunk of {chunk} prompt tokens is too small; use at least 1")
    if attention_groups(deployment) > 1.0 or deployment.pipeline > 1.0:
        raise InputError(
            "attention groups and pipeline stages have schedulers of their own, and only one is "
            "simulated; use pipeline=1 and expert no larger than tensor"
        )
    if deployment.draft_tokens > 0.0:
        raise InputError("speculative decoding is not simulated; use draft_tokens=0")
    if deployment.disaggregated not in (0.0, 1.0):
        raise InputError(
            f"disaggregated={float(deployment.disaggregated)} cannot be simulated; use 0 or 1"
        )
    for name in ("prompt_tokens", "output_tokens"):
        if not 1.0 <= float(getattr(workload, name)) < np.inf:
            raise InputError(f"{name}={float(getattr(workload, name))}; use at least 1")
    for name in ("prompt_cv", "output_cv", "interarrival_cv"):
        if not 0.0 <= float(getattr(workload, name)) < np.inf:
            raise InputError(f"{name}={float(getattr(workload, name))}; use a number from 0")
