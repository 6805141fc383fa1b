"""What a reader may set in the chapter on tokenomics."""

from typing import ClassVar, Literal

from llmecon.studies import parameters
from llmecon.studies.parameters import Tuning, choice, identifier, my_server, number, tuning


class Scenario(parameters.Scenario):
    """A service, what its hardware rents for, who else sells its answers, and who reads them."""

    chapter: ClassVar[str] = "tokenomics"

    model: str = identifier("llama-3.1-70b", "model to serve", "models")
    xpu: str = identifier("h100-sxm", "accelerator that serves it", "xpus")
    precision: Literal["bf16", "fp8", "fp4", "int4"] = choice("fp8", "weights while serving")
    engine: Literal["any", "vllm", "sglang", "trtllm"] = choice(
        "any", "serving software, any if undecided"
    )
    tuning: Tuning = tuning()
    my_server: str = my_server()
    workload: str = identifier("azure-chat-2023", "lengths and burstiness of requests", "workloads")
    prompt_tokens: float = number(0.0, "mean prompt; 0 takes the workload's", "tokens", 0, 1e6)
    output_tokens: float = number(
        0.0, "mean answer with hidden reasoning; 0 as above", "tokens", 0, 1e6
    )
    requests_per_second: float = number(
        20.0, "mean load of the whole service", "requests/s", 1e-6, 1e6
    )
    peak_to_mean: float = number(2.0, "busiest load over mean load", "ratio", 1, 100)
    spare_instances: int = number(1, "instances that may fail without harm", "instances", 0, 100)
    ttft_limit_s: float = number(
        2.0, "first token within this, for 99 requests in 100", "s", 0.01, 3600
    )
    tpot_limit_s: float = number(
        0.05, "each further token within this, on average", "s", 0.0005, 60
    )
    usd_per_xpu_hour: float = number(
        0.0, "rent of one; 0 takes the catalogue's newest", "USD/h", 0, 1e6
    )
    grid: str = identifier("us-mida-pjm", "grid that feeds the machines if owned", "grid")
    reader: str = identifier("silent-nonfiction", "how fast the user reads", "reading_speeds")
    api: str = identifier(
        "auto", "rival; auto takes the cheapest on sale", "api_prices", besides="auto"
    )
    benchmark: Literal["mmlu", "mmlu-pro", "gpqa-diamond"] = choice("mmlu", "measure of quality")
