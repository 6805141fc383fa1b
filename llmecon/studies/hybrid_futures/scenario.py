"""What a reader may set in the chapter on hybrid futures."""

from typing import ClassVar, Literal

from llmecon.studies import parameters
from llmecon.studies.parameters import Tuning, choice, identifier, my_server, number, tuning


class Scenario(parameters.Scenario):
    """A device, a box nearby and a data centre, what is asked of them and what must be kept."""

    chapter: ClassVar[str] = "hybrid-futures"

    near_model: str = identifier("llama-3.2-3b", "small model on the reader's device", "models")
    device: str = identifier(
        "snapdragon-8-gen-3", "phone, laptop, workstation or edge module", "xpus"
    )
    edge_model: str = identifier("llama-3.1-8b", "model on the box nearby", "models")
    edge_xpu: str = identifier("l4", "accelerator in that box", "xpus")
    cloud_model: str = identifier("llama-3.1-70b", "model in the data centre", "models")
    cloud_xpu: str = identifier("h100-sxm", "accelerator in the data centre", "xpus")
    precision: Literal["bf16", "fp8", "fp4", "int4"] = choice("fp8", "weights on shared machines")
    tuning: Tuning = tuning()
    my_server: str = my_server()
    prompt_tokens: float = number(400.0, "mean prompt", "tokens", 1, 1e5)
    output_tokens: float = number(211.0, "mean answer", "tokens", 2, 1e5)
    in_a_row: float = number(3.0, "answers without time to cool", "answers", 1, 1000)
    edge_at_once: float = number(2.0, "mean number in flight on the box", "answers", 0.01, 1000)
    cloud_at_once: float = number(
        24.0, "mean number in flight on an instance", "answers", 0.01, 4000
    )
    access: str = identifier("wifi-fixed", "the reader's way into the network", "network_paths")
    backbone: str = identifier("regional-cloud", "from there to the data centre", "network_paths")
    quality_floor: float = number(
        0.8, "least share of requests answered rightly", "fraction", 0.01, 1
    )
    seconds_limit: float = number(20.0, "mean time to the end of an answer", "s", 0.1, 3600)
    objective: Literal["carbon", "cost"] = choice("carbon", "what the best policy makes small")
    router_pair: str = identifier(
        "gpt-4-mixtral-gsm8k", "study that the router is fitted to", "router_pairs"
    )
    acceptance: float = number(0.7, "chance that a drafted token is accepted", "fraction", 0, 0.99)
    reader_grid: str = identifier("usa", "grid of the reader and the box", "grid")
    cloud_grid: str = identifier("us-mida-pjm", "grid that feeds the data centre", "grid")
    facility: str = identifier("aws-n-virginia", "data centre whose PUE is used", "facilities")
    reader_usd_per_kwh: float = number(0.17, "what electricity costs the reader", "USD/kWh", 0, 10)
    flexible_share: float = number(0.3, "of the data centre's work that may wait", "fraction", 0, 1)
