"""The scheduler's closed form beside a simulation of the same scheduler, event by event."""

from dataclasses import dataclass, fields, replace

import jax.numpy as jnp
import pandas as pd

from llmecon.errors import InputError
from llmecon.evidence.serving_rows import SHORTEST
from llmecon.execution.interpreter import interpreted
from llmecon.serving import full_rate, largest_batch, load_test, simulation
from llmecon.specs import Deployment, Efficiency, Instance, Precision, Workload
from llmecon.tables import catalog

# Clients of one instance up to which the scheduler is compared.
MOST_CLIENTS = 1024


def under_clients(instance: Instance, workload: Workload, seed: int = 0) -> pd.DataFrame:
    """The load test's closed form beside a simulation of its scheduler, from one client up.

    Args:
        instance: model, accelerator, layout and what it attains; what a request costs outside the
            scheduler, which the simulation does not know, is left out of both.
        workload: nominal lengths, as load generators take them.
        seed: of the random numbers.

    Returns:
        One row a number of clients (1, 4, 16, ...): clients, and ttft, tpot (s) and throughput
        (output tokens/s), each `_simulated` and `_closed`. Clients go on past the room in memory,
        where the instance is overloaded.

    Raises:
        InputError: as `simulation.closed_loop`.
    """
    bare = {of.name: getattr(instance.efficiency, of.name) for of in fields(Efficiency)}
    bare |= dict.fromkeys(("request_time", "request_time_per_client", "first_token_steps"), 0.0)
    bare |= dict.fromkeys(("first_token_prefills", "first_token_multiple"), 1.0)
    only = replace(instance, efficiency=Efficiency(**bare))
    drawn = simulation.uniform_lengths(workload, SHORTEST)
    room = float(interpreted(largest_batch)(only, drawn))
    clients = [4**i for i in range(8) if 4 ** (i - 1) < room and 4**i <= MOST_CLIENTS]
    closed_form = interpreted(load_test.closed_loop)
    rows = []
    for number in clients:
        closed = closed_form(only, drawn, jnp.asarray(float(number)))
        record = simulation.closed_loop(
            only,
            workload,
            clients=number,
            how=simulation.Simulation(
                requests=max(load_test.WAVES * number, 2), warmup=0.0, shortest=SHORTEST, seed=seed
            ),
        )
        rows.append(
            {
                "clients": float(number),
                "ttft_simulated": record.mean_ttft,
                "ttft_closed": float(closed.ttft),
                "tpot_simulated": record.mean_tpot,
                "tpot_closed": float(closed.tpot),
                "throughput_simulated": record.output_tokens_per_second,
                "throughput_closed": float(closed.output_rate),
            }
        )
    return pd.DataFrame(rows)


def one_scheduler(xpu: str, xpus: int, precision: Precision) -> Deployment:
    """The layout of an instance that can be simulated: every layer split over all devices.

    Args:
        xpu: id of the accelerator.
        xpus: devices of the instance.
        precision: bytes and arithmetic.

    Raises:
        InputError: fast links join fewer devices.
    """
    most = max(int(catalog.xpu(xpu).link_domain), 1)
    if xpus > most:
        raise InputError(
            f"xpus: {xpus} x {xpu} would be several groups with a scheduler each, and one is "
            f"simulated; use at most {most}"
        )
    return Deployment(precision=precision, tensor=float(xpus))


@dataclass(frozen=True)
class Overload:
    """Output tokens per second of an instance that is offered more than it can complete.

    Attributes:
        load: offered over the most that it can complete.
        simulated: found by `simulation.open_loop`.
        closed_form: with the batch that fills the memory.
    """

    load: float
    simulated: float
    closed_form: float


def overloaded(
    instance: Instance, workload: Workload, load: float = 1.5, requests: int = 4000
) -> Overload:
    """Throughput under overload, simulated and by the closed form.

    Args:
        instance: model, accelerator, layout and what it attains.
        workload: lengths and burstiness.
        load: offered over the most that the instance can complete, above 1.
        requests: how many arrive; they are never fewer than fill the memory many times.

    Raises:
        InputError: as `simulation.open_loop`.
    """
    full = float(interpreted(full_rate)(instance, workload))
    room = float(interpreted(largest_batch)(instance, workload))
    # Until the batch is full, an overloaded instance makes less than it could.
    many = int(max(requests, load_test.WAVES * room))
    record = simulation.open_loop(
        instance, workload, rate=load * full, how=simulation.Simulation(requests=many, warmup=0.5)
    )
    tokens = float(full * workload.output_tokens)
    return Overload(load, record.output_tokens_per_second, tokens)
