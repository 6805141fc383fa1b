"""What a reader may set in the chapter on carbon."""

from typing import ClassVar, Literal

from llmecon.studies import parameters
from llmecon.studies.parameters import Tuning, choice, identifier, my_server, number, tuning


class Scenario(parameters.Scenario):
    """A service, where it stands, whose electricity counts, and who reads its answers."""

    chapter: ClassVar[str] = "carbon"

    model: str = identifier("llama-3.1-70b", "model to serve", "models")
    xpu: str = identifier("h100-sxm", "accelerator that serves it", "xpus")
    precision: Literal["bf16", "fp8", "fp4", "int4"] = choice("fp8", "weights while serving")
    engine: Literal["any", "vllm", "sglang", "trtllm"] = choice(
        "any", "serving software, any if undecided"
    )
    tuning: Tuning = tuning()
    my_server: str = my_server()
    prompt_tokens: float = number(1155.0, "mean prompt", "tokens", 1, 1e6)
    output_tokens: float = number(211.0, "mean answer with hidden reasoning", "tokens", 1, 1e6)
    prompt_cv: float = number(1.28, "spread of prompt lengths over their mean", "ratio", 0, 50)
    output_cv: float = number(1.045, "spread of answers' lengths over their mean", "ratio", 0, 50)
    interarrival_cv: float = number(1.09, "irregularity of arrivals, 1 for Poisson", "ratio", 0, 50)
    requests_per_second: float = number(
        20.0, "mean load of the whole service", "requests/s", 1e-6, 1e6
    )
    peak_to_mean: float = number(2.0, "busiest load over mean load", "ratio", 1, 100)
    spare_instances: int = number(1, "instances that may fail without harm", "instances", 0, 100)
    routing: Literal["spread", "packed"] = choice(
        "spread", "load spread over all instances or packed on few"
    )
    ttft_limit_s: float = number(
        2.0, "first token within this, for 99 requests in 100", "s", 0.01, 3600
    )
    tpot_limit_s: float = number(
        0.05, "each further token within this, on average", "s", 0.0005, 60
    )
    grid: str = identifier("us-mida-pjm", "grid that feeds the data centre", "grid")
    facility: str = identifier(
        "aws-n-virginia", "data centre whose PUE and cooling water are used", "facilities"
    )
    accounting: Literal["location", "market", "marginal"] = choice(
        "location", "whose electricity counts"
    )
    lifetime_years: float = number(
        5.0, "until accelerators and servers are written off", "years", 0.1, 30
    )
    server: str = identifier(
        "server-p5-without-gpus", "server around eight accelerators", "embodied_products"
    )
    trained_on: str = identifier("h100-sxm", "accelerator that trained the model", "xpus")
    training_grid: str = identifier("us-mida-pjm", "grid that fed the training", "grid")
    training_tokens: float = number(15e12, "that the model was trained on", "tokens", 0, 1e15)
    model_life_months: float = number(12.0, "until the model is replaced", "months", 0.1, 240)
    model_requests_per_second: float = number(
        2000.0, "of all who use the model", "requests/s", 1e-6, 1e7
    )
    answer_kilobytes: float = number(50.0, "that travel for one answer, page and all", "kB", 0, 1e6)
    network: str = identifier("fixed-eu-2020", "energy per byte on the way", "network_energy")
    reader_device: Literal["smartphone", "tablet", "laptop"] = choice(
        "smartphone", "that the answer is read on"
    )
    reader_grid: str = identifier("usa", "grid of the reader", "grid")
