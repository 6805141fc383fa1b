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

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import simpy
from jaxtyping import Array, Float

from llmecon.errors import InputError
from llmecon.physics.roofline import attention_groups
from llmecon.serving import CHUNK
from llmecon.serving.simulated_engine import Engine, Process, Request, prices_of
from llmecon.specs import Deployment, Instance, Workload

Numbers = npt.NDArray[np.float64]

Scalar = Float[Array, "..."]


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


Draw = np.random.Generator
Pool = Iterator[Request]


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


@dataclass(frozen=True)
class Simulation:
    """How much is simulated, and what is drawn.

    Attributes:
        requests: how many there are; all are served to their end.
        warmup: share of them, from the first, that the record's summaries leave out.
        shortest: if given, lengths are those of `uniform_lengths` instead of lognormal.
        chunk: prompt tokens computed in one step at most.
        seed: of the random numbers; the same seed gives the same record.
    """

    requests: int = 2000
    warmup: float = 0.2
    shortest: float | None = None
    chunk: int = int(CHUNK)
    seed: int = 0


USUAL = Simulation()


def open_loop(
    instance: Instance,
    workload: Workload,
    rate: float,
    how: Simulation = USUAL,
) -> Record:
    """Simulate an instance whose requests come at a rate, however long they take.

    Args:
        instance: model, accelerator, layout and what it attains.
        workload: lengths, lognormal, and gamma-distributed times between arrivals.
        rate: requests arriving per second on average, > 0.
        how: how many requests arrive, and what is drawn.

    Returns:
        What happened to every request.

    Raises:
        InputError: an argument is out of range, the model does not fit, or the deployment has more
            than one scheduler, draft tokens or a fraction of disaggregation.
    """
    if not 0.0 < rate < np.inf:
        raise InputError(f"{rate} requests per second is no rate; use a number above 0")
    cv = float(workload.interarrival_cv)

    def send(environment: simpy.Environment, engine: Engine, draw: Draw, pool: Pool) -> Process:
        for request in pool:
            # A gamma variable of this shape has the wanted coefficient of variation.
            gap = draw.gamma(cv**-2.0, cv**2.0 / rate) if cv > 0.0 else 1.0 / rate
            yield environment.timeout(gap)
            engine.submit(request)

    return _simulate(instance, workload, send, 1, how)


def closed_loop(
    instance: Instance,
    workload: Workload,
    clients: int,
    how: Simulation = USUAL,
) -> Record:
    """Simulate an instance whose clients each ask again the moment their last request ends.

    Args:
        instance: model, accelerator, layout and what it attains.
        workload: lengths, lognormal.
        clients: how many there are; all start at once.
        how: how many requests they send together, more than `clients`, and what is drawn.

    Returns:
        What happened to every request.

    Raises:
        InputError: an argument is out of range, the model does not fit, or the deployment has more
            than one scheduler, draft tokens or a fraction of disaggregation.
    """
    requests = how.requests
    if not 1 <= clients < requests:
        raise InputError(
            f"{clients} clients cannot send {requests} requests in turns; use at least 1 client "
            "and more requests than clients"
        )

    def send(environment: simpy.Environment, engine: Engine, draw: Draw, pool: Pool) -> Process:
        for request in pool:
            engine.submit(request)
            yield request.done

    return _simulate(instance, workload, send, clients, how)


def _simulate(
    instance: Instance,
    workload: Workload,
    send: Callable[[simpy.Environment, Engine, Draw, Pool], Process],
    senders: int,
    how: Simulation,
) -> Record:
    """Let senders that share a pool of requests send them all, and wait for the last token."""
    deployment = instance.deployment
    _check(deployment, workload, how)
    if how.shortest is not None:
        workload = uniform_lengths(workload, how.shortest)
    prices = prices_of(instance, workload)
    draw, requests = np.random.default_rng(how.seed), how.requests
    uniform = how.shortest is not None
    prompts = _lengths(draw, requests, workload.computed_prompt_tokens, workload.prompt_cv, uniform)
    outputs = _lengths(draw, requests, workload.output_tokens, workload.output_cv, uniform)

    environment = simpy.Environment()
    engine = Engine(
        environment, prices, how.chunk, disaggregated=bool(deployment.disaggregated > 0)
    )
    sent = [
        Request(number, prompt, output, environment.event())
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
        warmup=how.warmup,
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


def _check(deployment: Deployment, workload: Workload, how: Simulation) -> None:
    """Refuse what the simulation would get wrong."""
    requests, warmup = how.requests, how.warmup
    if requests < 2:
        raise InputError(f"{requests} requests show no rate; use at least 2")
    if not 0.0 <= warmup < 1.0 or int(warmup * requests) > requests - 2:
        raise InputError(
            f"a warm-up of {warmup} of {requests} requests leaves too few; use a share from 0 to "
            f"{(requests - 2) / requests:g}"
        )
    if how.chunk < 1:
        raise InputError(f"a chunk of {how.chunk} prompt tokens is too small; use at least 1")
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
