"""What a reader may set in the chapter on retrieval and fine-tuning."""

from typing import ClassVar, Literal

from llmecon.studies import parameters
from llmecon.studies.parameters import Tuning, choice, identifier, my_server, number, tuning


class Scenario(parameters.Scenario):
    """Questions about documents, what wrong answers cost, and who answers them on what."""

    chapter: ClassVar[str] = "rag-vs-ft"

    queries_per_month: float = number(1e6, "questions asked", "questions", 1, 1e11)
    documents: float = number(2e4, "documents that hold the answers", "documents", 1, 1e9)
    document_tokens: float = number(500.0, "in each of them", "tokens", 10, 1e6)
    changes_per_month: float = number(0.05, "how often a fact changes", "changes", 0, 1e5)
    known: float = number(0.3, "answered rightly by the model as it is", "fraction", 0, 0.99)
    question_tokens: float = number(60.0, "mean question", "tokens", 1, 1e5)
    answer_tokens: float = number(150.0, "mean answer", "tokens", 2, 1e5)
    example_tokens: float = number(
        600.0, "of examples, which tuning makes needless", "tokens", 0, 1e5
    )
    wrong_usd: float = number(0.02, "what a wrong answer costs", "USD", 1e-9, 1e5)
    label_usd: float = number(0.05, "preparing a document for training", "USD", 0, 1e4)
    months: float = number(24.0, "over which all is counted", "months", 1, 240)
    customers: float = number(1.0, "who each need a model of their own", "customers", 1, 1e6)
    hosting: Literal["own", "api"] = choice("own", "on rented hardware, or through an API")
    model: str = identifier("llama-3.1-8b", "model on rented hardware", "models")
    xpu: str = identifier("l40s", "accelerator that it runs on", "xpus")
    precision: Literal["bf16", "fp8", "fp4", "int4"] = choice("fp8", "its weights while serving")
    tuning: Tuning = tuning()
    my_server: str = my_server()
    api: str = identifier(
        "openai-gpt-4.1-mini-2025-04-14", "hosted model that can be tuned", "fine_tuning_prices"
    )
    tuned_price_ratio: float = number(0.0, "tuned over plain tokens; 0 as sold", "ratio", 0, 1e4)
    retriever: str = identifier(
        "reranked-code-anthropic", "published search to expect", "retrieval", column="curve"
    )
    recall_of_five: float = number(
        0.0, "passage among five found; 0 takes the study's", "fraction", 0, 1
    )
    constants_from: Literal["published", "experiment"] = choice(
        "published", "what learning is like"
    )
    grid: str = identifier("us-mida-pjm", "grid that feeds the hardware", "grid")
    facility: str = identifier("aws-n-virginia", "data centre whose PUE is used", "facilities")
