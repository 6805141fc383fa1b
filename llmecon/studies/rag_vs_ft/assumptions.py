"""What no table holds; each is an assumption, which the chapter names in its last table."""

from llmecon.specs import SECONDS_PER_DAY, SECONDS_PER_YEAR, LatencyTarget

INSTRUCTION_TOKENS = 200.0  # that open every prompt
REPLACED = SECONDS_PER_YEAR  # until a better base model takes over
REFRESH = 900.0  # until a changed document is found, s
SEARCH_SECONDS = 0.1
# That reranking adds to a search; a rented one takes 0.17 s for 96 short texts.
RERANK_SECONDS = 0.2
CANDIDATES = 100.0  # passages that a reranker reads for a question
RERANKER_WEIGHTS = 0.57e9  # of a usual one
CONTEXT_USD_PER_MTOK = 1.02  # of writing a context for passages, per million tokens of documents
SETUP_USD = 5000.0  # of building the search
RELEASE_USD = 200.0  # of evaluating and releasing a tuned model
TRAINABLE = 0.005  # share of the weights in an adapter
ADAPTER_FORGETS = 0.5  # of what training all weights destroys
BITS_PER_TOKEN = 1.0  # of facts in the documents
DILUTION = 0.1  # exponent with which longer passages are harder to find
SPAN = 20.0  # tokens in a row that an answer needs
BYTES_PER_TOKEN = 4.0
VECTOR_BYTES = 4.0  # a dimension
PEAK_TO_MEAN = 2.0  # of the questions
USUAL_PASSAGES = 5.0  # in the request that hardware is laid out for
TARGET = LatencyTarget(ttft=2.0, tpot=0.05)
PATIENT = LatencyTarget(ttft=60.0, tpot=0.2)  # where all documents are read
TRAINING_DEADLINE = SECONDS_PER_DAY
TRAINING_SEQUENCE = 2048.0  # tokens
TRAINING_BATCH = 16.0 * TRAINING_SEQUENCE  # tokens
API_CACHE = 300.0  # s
LIFETIME = 5.0 * SECONDS_PER_YEAR  # of the hardware
SERVER_HOLDS = 8.0  # accelerators
DOUBT = 2.0  # factor by which the case itself may be misjudged
DRAWS = 512

EMBEDDING = "text-embedding-3-small"
STORE = "pinecone-standard"
RERANKER = "cohere-rerank-4-fast"
SERVER = "server-p5-without-gpus"
