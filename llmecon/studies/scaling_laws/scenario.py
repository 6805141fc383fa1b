"""What a reader may set in the chapter on scaling laws."""

from typing import ClassVar, Literal

from llmecon.studies import parameters
from llmecon.studies.parameters import Tuning, choice, identifier, my_server, number, tuning

NEAREST = "nearest"
"""In place of a model: the one of the catalogue's ladder nearest in size to the answer."""


class Scenario(parameters.Scenario):
    """A budget, what the model will serve, how many tokens there are, and what FLOPs cost."""

    chapter: ClassVar[str] = "scaling-laws"

    budget: float = number(
        5.76e23, "to spend on training, in the unit below", "budget_unit", 1e-3, 1e30
    )
    budget_unit: Literal["flop", "usd", "xpu-days", "t-co2e"] = choice(
        "flop", "what the budget is counted in"
    )
    law: Literal[
        "refit", "besiroglu-2024", "hoffmann-2022", "hoffmann-2022-unrounded", "sardana-2023"
    ] = choice("refit", "law of the loss, refit for the one fitted here")
    served_tokens: float = number(
        1e13, "prompts and outputs in the model's life", "tokens", 0, 1e18
    )
    unique_tokens: float = number(3e11, "different ones to train on", "tokens", 1e8, 1e17)
    near: float = number(0.01, "loss above the lowest that still is near", "fraction", 1e-4, 0.1)
    model: str = identifier(
        NEAREST, "model whose run and service price FLOPs", "models", besides=NEAREST
    )
    xpu: str = identifier("h100-sxm", "accelerator that trains and serves", "xpus")
    precision: Literal["bf16", "fp8", "fp4", "int4"] = choice("fp8", "weights while serving")
    tuning: Tuning = tuning()
    my_server: str = my_server()
    deadline_days: float = number(90.0, "wall-clock time allowed for training", "days", 0.01, 36500)
    prompt_tokens: float = number(1155.0, "mean prompt", "tokens", 1, 1e6)
    output_tokens: float = number(211.0, "mean output", "tokens", 1, 1e6)
    utilisation: float = number(
        0.5, "mean load over the most that the fleet serves", "fraction", 0.01, 1
    )
    usd_per_xpu_hour: float = number(0.0, "rent; 0 takes the catalogue's", "USD/hour", 0, 10000)
    usd_per_t_co2e: float = number(0.0, "price of carbon, on top of rent", "USD/t", 0, 100000)
    grid: str = identifier("us-mida-pjm", "region whose electricity is used", "grid")
    pue: float = number(1.15, "facility energy over IT energy", "ratio", 1, 3)
