"""What a person perceives of a text stream: delay against their own reading."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon.specs import Number, number

Scalar = Float[Array, "..."]


class Reader(eqx.Module):
    """What a person expects of a stream.

    Attributes:
        ttft: time within which they expect the first token, s.
        speed: tokens per second that they read.
    """

    ttft: Number = number()
    speed: Number = number()


def response_time(ttft: Scalar, tpot: Scalar, tokens: Scalar) -> Scalar:
    """Time until the last token is there.

    Args:
        ttft: time to first token, s.
        tpot: time per output token, s.
        tokens: output tokens.

    Returns:
        TTFT + TPOT * tokens, s [DongXie2024].
    """
    return ttft + tpot * tokens


def reading_time(ttft: Scalar, tpot: Scalar, tokens: Scalar, reader: Reader) -> Scalar:
    """Time until the reader has read the last token.

    Args:
        ttft: time to first token, s.
        tpot: time per output token, s.
        tokens: output tokens.
        reader: their speed.

    Returns:
        s: the slower of stream and reader sets the pace.
    """
    return ttft + tokens * jnp.maximum(tpot, 1.0 / reader.speed)


def quality_of_experience(ttft: Scalar, tpot: Scalar, tokens: Scalar, reader: Reader) -> Scalar:
    """How much of a stream's reading timeline is free of delay, from 0 to 1.

    Token i is expected to be read at reader.ttft + i / reader.speed and is read at
    ttft + i * max(tpot, 1 / reader.speed). The score is 1 - (delay summed over tokens) / (reading
    time summed over tokens): 1 for a stream that never makes its reader wait, however fast; 0 in
    the limit of an endless wait. This follows the area definition of Andes [Liu2024Andes].

    Args:
        ttft: time to first token, s.
        tpot: time per output token, s.
        tokens: output tokens, > 0.
        reader: what they expect.

    Returns:
        The score, 0 to 1.
    """
    head_start = ttft - reader.ttft
    lag = jnp.maximum(tpot - 1.0 / reader.speed, 0.0)
    # The delay of token i is max(head_start + lag * i, 0); a stream that starts early and runs
    # slow falls behind only at token `onset`.
    slope = jnp.where(lag > 0.0, lag, 1.0)
    onset = jnp.clip(-head_start / slope, 0.0, tokens)
    late = jnp.where(lag > 0.0, tokens - onset, jnp.where(head_start > 0.0, tokens, 0.0))
    first_delay = jnp.maximum(head_start, 0.0)
    delay = first_delay * late + 0.5 * lag * late**2
    pace = jnp.maximum(tpot, 1.0 / reader.speed)
    whole = ttft * tokens + 0.5 * pace * tokens**2
    return 1.0 - delay / whole


def delivered_tokens(time: Scalar, ttft: Scalar, tpot: Scalar, tokens: Scalar) -> Scalar:
    """Tokens on the screen at a time, s after the request."""
    return jnp.clip((time - ttft) / tpot, 0.0, tokens)


def read_tokens(time: Scalar, ttft: Scalar, tpot: Scalar, tokens: Scalar, reader: Reader) -> Scalar:
    """Tokens that the reader has read at a time, s after the request."""
    return jnp.clip((time - ttft) / jnp.maximum(tpot, 1.0 / reader.speed), 0.0, tokens)
