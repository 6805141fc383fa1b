"""Systems a second beside those of a loop: the same formulas, written out by hand and compiled.

How near the library comes to what the machine can do: the loop knows nothing of shapes, gradients
or what else might be asked. It goes from system to system on both cores, keeps every number in a
register, skips what a system doesn't have, and works out once what all systems share. What differs
between systems is what `throughput.systems` draws; the rest, such as efficiencies, is passed once.

All results are compared first. Then both take turns, and the best turn of each counts, since other
work on the machine only ever slows them. The loop wants numba, which this project does not depend
on, so this runs in an environment of its own, which `make loops` makes.
"""

import dataclasses
import math
import time
from collections import namedtuple
from collections.abc import Iterator
from itertools import chain

import jax
import numba
import numpy as np

from benchmarks.throughput import CORES, TOGETHER, System, compiled, evaluated, seconds, systems
from llmecon import serving, specs
from llmecon.physics import energy, queueing, roofline

PARTS = 8  # of `TOGETHER` systems each: what is compared, and timed
TIMES = 3  # that a turn goes through all of them
TURNS = 15
AGREEING = 1e-9
RESULTS = ("ttft", "tpot", "usd", "grams")


def _names(record: type) -> list[str]:
    return [field.name for field in dataclasses.fields(record)]


# What differs between systems: a row for each.
OTHERS = ("tensor", "prompt_tokens", "output_tokens", "batch", "rent", "pue", "carbon_intensity")
ROW = np.dtype([(name, float) for name in (*_names(specs.LLM), *_names(specs.XPU), *OTHERS)])

# What all systems share: bytes of a precision go by the name of what takes them.
SHARED = {
    "deployment": [
        name for name in _names(specs.Deployment) if name not in ("tensor", "precision")
    ],
    "requests": ["cached_fraction", "prompt_cv", "output_cv", "interarrival_cv"],
    "precision": _names(specs.Precision),
    "efficiency": _names(specs.Efficiency),
}
DERIVED = ("prompt_share", "widest", "gained")
Shared = namedtuple("Shared", [*chain(*SHARED.values()), *DERIVED])

# What the passes of a system share, what one costs, and what an instance does at a batch.
Made = namedtuple(
    "Made",
    "groups devices dense head active experts dense_bytes expert_bytes element missing rate "
    "per_byte latency reduced_layers routed elementwise flops kv_shards kernels",
)
Cost = namedtuple("Cost", "seconds compute memory")
Point = namedtuple("Point", "busy tpot step mixed_prefill rate compute_use memory_use")

# Nothing is checked for division by zero, and nothing is reordered.
scalar = numba.njit(error_model="numpy", fastmath=False)


@scalar
def smooth_maximum(a, b, sharpness):
    """The p-norm of two numbers, not both 0."""
    largest = max(a, b)
    return largest * (1.0 + (min(a, b) / largest) ** sharpness) ** (1.0 / sharpness)


@scalar
def between_devices(of, shared, devices):
    """Of an all-reduce: seconds for each byte, and its steps' latency."""
    inside = min(max(of.link_domain, 1.0), devices)
    domains = devices / inside
    near = 2.0 * (1.0 - 1.0 / inside) / of.link_bandwidth
    far = 2.0 * (1.0 - 1.0 / domains) / inside / of.network_bandwidth
    return (near + far) / shared.link, shared.collective_latency * math.log2(devices)


@scalar
def made(of, shared):
    """What the passes of a system share."""
    devices = max(of.tensor, shared.expert)
    groups = devices / of.tensor

    # Weights.
    heads = of.heads * (of.head_dim + of.value_dim)
    if of.kv_lora_rank > 0.0:
        queries = of.heads * (of.head_dim + of.rope_dim)
        if of.q_lora_rank > 0.0:
            attention = of.q_lora_rank * (of.width + queries)
        else:
            attention = of.width * queries
        attention += of.width * (of.kv_lora_rank + of.rope_dim)
        attention += of.kv_lora_rank * heads + of.heads * of.value_dim * of.width
        element = of.kv_lora_rank + of.rope_dim
        kv_shards = 1.0
    else:
        element = of.kv_heads * (of.head_dim + of.value_dim)
        attention = of.width * (heads + element)
        kv_shards = min(of.tensor, of.kv_heads)
    attention *= of.layers
    dense_layers = of.layers - of.moe_layers
    one_expert = of.ff_matrices * of.width * of.expert_ff_width
    feed_forward = dense_layers * of.ff_matrices * of.width * of.ff_width
    feed_forward += of.moe_layers * (of.shared_experts * one_expert + of.width * of.experts)
    head = of.vocabulary * of.width
    active = of.moe_layers * of.experts_per_token * one_expert
    all_experts = of.moe_layers * of.experts * one_expert

    # Arithmetic.
    if shared.operand_bits > 12.0:
        peak = of.bf16_flops
    elif shared.operand_bits > 6.0:
        peak = of.fp8_flops
    else:
        peak = of.fp4_flops
    rate = peak * of.matmul_share * shared.compute
    if peak > of.bf16_flops:
        rate *= shared.quantised_compute ** math.log2(peak / of.bf16_flops)

    missing = 0.0
    if of.experts > 0.0:
        missing = math.log(max(1.0 - of.experts_per_token / of.experts, 1e-30))
    routed = of.moe_layers if groups > 1.0 else 0.0
    per_byte, latency = between_devices(of, shared, of.tensor)

    layer = roofline.ATTENTION_KERNELS
    mixture = roofline.MIXTURE_KERNELS
    if of.kv_lora_rank > 0.0:
        layer += roofline.MLA_KERNELS
    if peak > 1.01 * of.bf16_flops:
        layer += shared.quantising_kernels
    if of.shared_experts > 0.0:
        mixture += roofline.SHARED_EXPERT_KERNELS
    if groups > 1.0:
        mixture += shared.exchange_kernels
    kernels = of.layers * layer + dense_layers * roofline.DENSE_KERNELS + of.moe_layers * mixture

    dense_bytes = attention * shared.attention + feed_forward * shared.feed_forward
    return Made(
        groups=groups,
        devices=devices,
        dense=attention + feed_forward,
        head=head,
        active=active,
        experts=of.experts,
        dense_bytes=dense_bytes + head * shared.embedding,
        expert_bytes=all_experts * shared.feed_forward,
        element=element,
        missing=missing,
        rate=rate,
        per_byte=per_byte,
        latency=latency,
        reduced_layers=2.0 * dense_layers + of.moe_layers + (of.moe_layers - routed),
        routed=routed,
        elementwise=shared.activation_passes
        * of.width
        * shared.activation
        / (of.memory_bandwidth * shared.memory),
        flops=of.bf16_flops * of.matmul_share * shared.attention_compute,
        kv_shards=kv_shards,
        kernels=kernels,
    )


@scalar
def pairs_up_to(of, position):
    """The integral of how far back a windowed layer sees."""
    kept = min(position, of.window)
    return kept * (position - 0.5 * kept)


@scalar
def kv_cache_bytes(of, shared, made, context):
    """Of one sequence."""
    kept = (of.layers - of.windowed_layers) * context
    kept += of.windowed_layers * min(context, of.window)
    return kept * made.element * shared.kv_cache


@scalar
def forward_pass(of, shared, made, sequences, new, past):
    """The time of one pass, and what its arithmetic and its memory traffic need of it."""
    in_flight = max(sequences / shared.pipeline, 1.0)
    passes = sequences / in_flight
    tokens = in_flight * new
    group_sequences = max(in_flight / made.groups, 1.0)
    group_tokens = group_sequences * new
    spread = 1.0 + shared.expert_imbalance if shared.expert > 1.0 else 1.0

    flops = 2.0 * (made.dense * group_tokens + made.head * group_sequences) / of.tensor
    flops += spread * 2.0 * made.active * tokens / made.devices
    linear_compute = flops / made.rate

    memory = made.dense_bytes / of.tensor / shared.memory
    if made.experts > 0.0:
        variance = max(shared.routing_cv**2, 1e-8)
        missed = math.exp(-math.log1p(variance * -tokens * made.missing) / variance)
        local = made.experts / shared.expert
        deviation = math.sqrt(local * (1.0 - missed) * missed + 0.01) - 0.1
        busiest = min(1.0 - missed + shared.widest * deviation / local, 1.0)
        memory += busiest * made.expert_bytes / made.devices / shared.expert_memory
    linear_memory = memory / of.memory_bandwidth

    row = group_tokens * of.width * shared.activation
    network = made.reduced_layers * (row * made.per_byte + made.latency)
    if made.routed > 0.0:
        sent = group_tokens / of.tensor * of.experts_per_token * of.width
        volume = made.routed * sent * (shared.attention + shared.activation)
        inside = min(max(of.link_domain, 1.0), shared.expert)
        near = (inside - 1.0) / shared.expert * volume / of.link_bandwidth
        far = (1.0 - inside / shared.expert) * volume / of.network_bandwidth
        steps = 2.0 * made.routed * math.log2(shared.expert)
        network += (near + far) / shared.link + steps * shared.collective_latency
    network += (shared.pipeline - 1.0) * (
        shared.collective_latency + row / of.tensor / of.network_bandwidth
    )

    visited = 2.0 * of.layers * group_tokens
    sorted_out = of.moe_layers * of.experts_per_token * tokens * spread / shared.expert
    elementwise = made.elementwise * (visited + sorted_out)

    pairs = (of.layers - of.windowed_layers) * new * (past + 0.5 * new)
    if of.windowed_layers > 0.0:
        pairs += of.windowed_layers * (pairs_up_to(of, past + new) - pairs_up_to(of, past))
    sequence_flops = 2.0 * pairs * of.heads * (of.head_dim + of.rope_dim + of.value_dim)
    if of.kv_lora_rank > 0.0:
        expansion = 2.0 * past * of.layers * of.kv_lora_rank
        sequence_flops += expansion * of.heads * (of.head_dim + of.value_dim)
        absorbed = 2.0 * pairs * of.heads * (2.0 * of.kv_lora_rank + of.rope_dim)
        sequence_flops = min(absorbed, sequence_flops)
    attention_compute = group_sequences * sequence_flops / of.tensor / made.flops
    cached = group_sequences * kv_cache_bytes(of, shared, made, past + new) / made.kv_shards
    attention_memory = cached / (of.memory_bandwidth * shared.memory)

    host_sequences = group_sequences / (1.0 + group_sequences / shared.host_batch)
    overhead = made.kernels * shared.kernel_time + shared.host_time
    overhead += shared.host_time_per_sequence * host_sequences

    linear = smooth_maximum(linear_compute, linear_memory, shared.sharpness)
    attention = smooth_maximum(attention_compute, attention_memory, shared.sharpness)
    share = passes / shared.pipeline
    return Cost(
        linear + network + elementwise + attention + overhead,
        (linear_compute + attention_compute) * share,
        (linear_memory + elementwise + attention_memory) * share,
    )


@scalar
def largest_batch(of, shared, made, context):
    """Requests that an instance can hold, one at least."""
    embedding = of.vocabulary * of.width * (1.0 - of.tied_embeddings) * shared.embedding
    stored = (made.dense_bytes + embedding) * made.groups + made.expert_bytes
    free = shared.pipeline * made.devices * of.memory * shared.usable_memory - stored
    copies = of.tensor / made.kv_shards
    fitting = max(free, 0.0) / (copies * kv_cache_bytes(of, shared, made, context))
    return max(min(fitting, serving.MAXIMUM_SEQUENCES * made.groups), 1.0)


@scalar
def operating_point(of, shared, made, context, alone, added, batch):
    """What an instance does while it keeps some requests in flight."""
    busy = -math.expm1(-batch)
    seen = batch / busy
    checked = 1.0 + shared.draft_tokens
    decode = forward_pass(of, shared, made, seen, checked, max(context - checked, 0.0))
    drafted = 1.0 + shared.draft_tokens * shared.draft_cost
    step = shared.decode_multiple * decode.seconds * drafted

    at_once = shared.pipeline * made.groups
    mixed = 1.0 - shared.disaggregated
    prefill = shared.prefill_multiple * alone.seconds
    chunked = shared.prefill_multiple * added.seconds
    mixed_prefill = shared.prefill_interference * max(chunked, prefill - step)
    company = (seen - 1.0) / seen
    prompt_time = mixed * (prefill + company * (mixed_prefill - prefill)) / at_once

    output = of.output_tokens
    tpot = step / shared.gained + (seen - 1.0) / output * mixed * mixed_prefill / at_once
    rate = batch / (prompt_time + output * tpot)
    steps = rate * output / (shared.gained * seen)
    prompts = mixed * rate / at_once * shared.prefill_multiple
    compute = alone.compute + company * (added.compute - alone.compute)
    memory = alone.memory + company * (added.memory - alone.memory)
    return Point(
        busy,
        tpot,
        step,
        mixed_prefill,
        rate,
        steps * decode.compute + prompts * compute,
        steps * decode.memory + prompts * memory,
    )


@scalar
def waiting(load, capacity, servers, probability, arrival_cv, service_cv):
    """The mean wait in a queue."""
    irregularity = 0.5 * (arrival_cv**2 + service_cv**2)
    span = capacity * serving.HORIZON
    excess = max(load - 1.0, 0.0)
    filling = 2.0 * queueing.FILLING * servers / span
    spare = 1.0 - load + filling * excess**2 / (excess**2 + filling**2)
    root = math.sqrt(spare**2 + 8.0 * irregularity * probability / span + 1e-18)
    if load < 1.0:
        return 2.0 * irregularity / (capacity * (root + max(spare, 0.0))) * probability
    return 0.25 * serving.HORIZON * (root - min(spare, 0.0)) * probability


@scalar
def all_busy(load, occupancy, servers, arrival_cv):
    """The probability of finding every slot taken, up to load 1."""
    spread = 0.5 * (1.0 + arrival_cv**2)
    filled = min(max(occupancy, 1e-12), load)
    slowing = load / filled - 1.0
    ratio = math.log1p(slowing) / slowing if slowing > 1e-6 else 1.0 - 0.5 * slowing
    last = math.exp(servers / spread * (math.log(load) + (1.0 - load) * ratio))
    restoring = (1.0 - load + 1e-9) / (1.0 - filled + 1e-9)
    deviation = math.sqrt(spread * servers * filled / restoring)
    below = 0.5 * math.erfc(-servers * (1.0 - filled) / deviation / math.sqrt(2.0))
    corrected = (servers + 1.0 / 6.0) / (servers * load)
    others = below * deviation * math.sqrt(2.0 * math.pi * corrected)
    return last / (last + (1.0 - load) * others)


@scalar
def system(of, shared):
    """The results of one system."""
    own = made(of, shared)
    at_once = shared.pipeline * own.groups
    mixed = 1.0 - shared.disaggregated
    context = of.prompt_tokens + 0.5 * of.output_tokens * (1.0 + shared.output_cv**2)

    computed = max(of.prompt_tokens * shared.prompt_share, 1.0)
    cached = max(of.prompt_tokens - computed, 0.0)
    more = serving.CHUNK / computed
    alone = forward_pass(of, shared, own, at_once, computed, cached)
    many = forward_pass(of, shared, own, (1.0 + more) * at_once, computed, cached)
    added = Cost(
        (many.seconds - alone.seconds) / more,
        (many.compute - alone.compute) / more,
        (many.memory - alone.memory) / more,
    )

    room = largest_batch(of, shared, own, context)
    held = min(of.batch, room)
    full = operating_point(of, shared, own, context, alone, added, room)
    point = operating_point(of, shared, own, context, alone, added, held)

    # The wait for a slot.
    load = point.rate / full.rate
    within = min(max(load, 1e-12), 1.0)
    filled = held / room
    probability = all_busy(within, filled, room, shared.interarrival_cv)
    slot = waiting(load, full.rate, room, probability, shared.interarrival_cv, shared.output_cv)

    # From a slot to the first token.
    admitted = min(point.rate, full.rate)
    burst = shared.interarrival_cv**2
    step = point.busy * point.step
    each = point.mixed_prefill / at_once
    use = mixed * admitted * each
    spare = 0.5 * (1.0 - use + math.sqrt((1.0 - use) ** 2 + 4.0 * serving.LEAST_SPARE**2))
    irregular = min(burst, 1.0) + shared.prompt_cv**2
    cycle = step / spare + use * each * irregular / (spare * (1.0 + use))
    turn = (0.5 + use) * cycle
    if burst > 1.0:
        turn += each * serving.BURST * (burst - 1.0) * math.sqrt(use / spare + 1e-12)
    prefill = shared.prefill_multiple * alone.seconds
    begun = prefill + mixed * (point.busy * (point.mixed_prefill - prefill) + step + turn)
    if shared.disaggregated > 0.0:
        capacity = at_once / prefill
        prompts = shared.disaggregated * admitted / capacity
        waits = min(max(prompts, 1e-12), 1.0) ** (math.sqrt(2.0 * (at_once + 1.0)) - 1.0)
        begun += shared.disaggregated * waiting(
            prompts, capacity, at_once, waits, shared.interarrival_cv, shared.prompt_cv
        )
    ttft = shared.first_token_multiple * (shared.request_time + begun) + slot

    # The batch comes and goes.
    free = room - held
    spread = 0.5 * (1.0 + shared.interarrival_cv**2)
    shares = point.busy * spread * max(min(load, 1.0) - filled, 0.0)
    lingering = shares * free / ((1.0 - min(load, 1.0)) * free + shares + 1e-12)
    tpot = point.tpot + lingering / (point.rate * of.output_tokens)

    drawn = shared.idle_power + shared.active_power * point.busy
    drawn += shared.compute_power * point.compute_use
    drawn += shared.memory_power * point.memory_use
    power = shared.power_multiple * of.tdp * drawn
    power /= smooth_maximum(drawn, 1.0, energy.CAP_SHARPNESS)

    xpus = shared.pipeline * own.devices
    tokens = point.rate * (of.prompt_tokens + of.output_tokens)
    usd = 1e6 * of.rent * xpus / tokens
    grams = 1e9 * power * xpus * of.pue * of.carbon_intensity / tokens
    return ttft, tpot, usd, grams


@numba.njit(parallel=True, error_model="numpy", fastmath=False)
def loop(rows, shared, results):
    """The results of all systems, a row for each.

    Args:
        rows: what differs between systems.
        shared: what doesn't.
        results: where the results go.
    """
    for at in numba.prange(len(rows)):
        ttft, tpot, usd, grams = system(rows[at], shared)
        results[at, 0] = ttft
        results[at, 1] = tpot
        results[at, 2] = usd
        results[at, 3] = grams


def rows_of(drawn: System) -> np.ndarray:
    """What differs between systems, a row for each."""
    values = vars(drawn.llm) | vars(drawn.xpu) | vars(drawn.deployment)
    values |= vars(drawn.requests) | vars(drawn.site) | vars(drawn)
    rows = np.empty(len(drawn.batch), ROW)
    for name in ROW.names:
        rows[name] = values[name]
    return rows


def shared_by(drawn: System) -> Shared:
    """What they share.

    Raises:
        SystemExit: they don't share it.
    """
    records = vars(drawn) | {"precision": drawn.deployment.precision}
    same = {}
    for record, names in SHARED.items():
        for name in names:
            values = getattr(records[record], name)
            if np.ptp(values):
                raise SystemExit(f"{name} differs between systems: the loop takes one for all")
            same[name] = float(values[0])
    certain = same["acceptance"] >= 1.0
    drafted = same["draft_tokens"] + 1.0
    accepted = min(max(same["acceptance"], 1e-9), 1.0 - 1e-9)
    return Shared(
        **same,
        prompt_share=1.0 - same["cached_fraction"],
        widest=math.sqrt(2.0 * math.log(max(same["expert"], 1.0)) + 0.01) - 0.1,
        gained=drafted if certain else (1.0 - accepted**drafted) / (1.0 - accepted),
    )


def farthest(library: dict[str, np.ndarray], looped: np.ndarray) -> float:
    """The greatest difference of any result of any system, as a share of it."""
    pairs = ((library[name], looped[:, at]) for at, name in enumerate(RESULTS))
    return max(float(np.max(np.abs(one / other - 1.0))) for one, other in pairs)


def rows() -> Iterator[tuple[str, float]]:
    """The table's rows.

    Raises:
        SystemExit: the results of the two differ.
    """
    numba.set_num_threads(CORES)
    parts = [systems(TOGETHER, seed) for seed in range(PARTS)]
    drawn = jax.tree.map(lambda *of: np.concatenate(of), *parts)
    count = len(drawn.batch)
    library = compiled(evaluated)
    found = jax.tree.map(lambda *of: np.concatenate(of), *map(library, parts))
    each, shared, results = rows_of(drawn), shared_by(drawn), np.empty((count, len(RESULTS)))

    def looped() -> float:
        started = time.perf_counter()
        for _ in range(TIMES):
            loop(each, shared, results)
        return time.perf_counter() - started

    looped()  # compiles
    apart = farthest(found, results)
    if not apart <= AGREEING:
        raise SystemExit(f"loop and library differ by up to {apart:.1e} of a result: one is wrong")
    yield f"largest difference in {count:,} systems, of 1e-12", apart / 1e-12
    turns = [(seconds(library, parts, TIMES * count), looped()) for _ in range(TURNS)]
    ours, theirs = (TIMES * count / min(took) for took in zip(*turns, strict=True))
    yield "systems a second, the library's", ours
    yield "systems a second, the loop's", theirs
    yield "the library's over the loop's", ours / theirs


def main() -> None:
    """Print the table."""
    for name, number in rows():
        print(f"{name:<62} {number:12,.3f}", flush=True)


if __name__ == "__main__":
    main()
