"""What a reader of the chapter on numbers of accelerators may set."""

from typing import ClassVar, Literal

from llmecon.studies import parameters
from llmecon.studies.parameters import Tuning, choice, identifier, my_server, number, tuning


class Scenario(parameters.Scenario):
    """A training run with a deadline, a service with limits on time, and what both run on."""

    chapter: ClassVar[str] = "xpu-needs"

    model: str = identifier("llama-3.1-70b", "model to train and to serve", "models")
    xpu: str = identifier("h100-sxm", "accelerator to do it on", "xpus")
    training_tokens: float = number(15e12, "tokens to train on", "tokens", 1e6, 1e16)
    deadline_days: float = number(90.0, "wall-clock time allowed for training", "days", 0.01, 36500)
    global_batch_tokens: float = number(16e6, "tokens per optimizer step", "tokens", 1e4, 1e9)
    sequence_tokens: float = number(
        8192.0, "tokens per sequence, if the context allows", "tokens", 16, 1e6
    )
    trainable_share: float = number(1.0, "share of the weights trained", "fraction", 0.0001, 1)
    device_mtbf_hours: float = number(
        50677.0, "time between failures of a device", "hours", 100, 1e8
    )
    checkpoint_s: float = number(30.0, "time that a checkpoint holds the job up", "s", 0.01, 3600)
    restart_s: float = number(600.0, "time from a failure to training again", "s", 0, 86400)
    precision: Literal["bf16", "fp8", "fp4", "int4"] = choice("fp8", "weights while serving")
    engine: Literal["any", "vllm", "sglang", "trtllm"] = choice(
        "any", "serving software, any if undecided"
    )
    tuning: Tuning = tuning()
    my_server: str = my_server()
    requests_per_second: float = number(
        20.0, "mean rate of requests to serve", "requests/s", 0.0001, 1e7
    )
    peak_to_mean: float = number(2.0, "peak over mean rate", "ratio", 1, 100)
    spare_instances: int = number(1, "instances in reserve, 1 for N+1", "instances", 0, 1000)
    prompt_tokens: float = number(1155.0, "mean prompt", "tokens", 1, 1e7)
    output_tokens: float = number(211.0, "mean output", "tokens", 1, 1e6)
    prompt_cv: float = number(1.28, "spread of prompt lengths over their mean", "ratio", 0, 50)
    output_cv: float = number(1.045, "spread of output lengths over their mean", "ratio", 0, 50)
    interarrival_cv: float = number(1.09, "irregularity of arrivals, 1 for Poisson", "ratio", 0, 50)
    ttft_limit_s: float = number(2.0, "limit on TTFT for 99 of 100 requests", "s", 0.001, 3600)
    tpot_limit_s: float = number(0.05, "limit on time per output token", "s", 0.0001, 60)
    xpus_per_instance: int = number(0, "devices per copy of the model; 0 chooses", "xPUs", 0, 4096)
    usd_per_xpu_hour: float = number(0.0, "rent; 0 takes the catalogue's", "USD/hour", 0, 10000)
    grid: str = identifier("us-mida-pjm", "region whose electricity is used", "grid")
    pue: float = number(1.15, "facility energy over IT energy", "ratio", 1, 3)
