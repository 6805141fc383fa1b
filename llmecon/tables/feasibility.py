"""What can't be done, said before it is tried: one line with what would be needed."""

import math

from llmecon import specs
from llmecon.errors import InputError
from llmecon.physics import architecture, roofline
from llmecon.tables import catalog


def require_context(model: str, prompt_tokens: float, output_tokens: float) -> None:
    """Refuse requests longer than a model's context.

    Args:
        model: id of the model.
        prompt_tokens: per request.
        output_tokens: per request.

    Raises:
        InputError: the two together exceed the context.
    """
    context = float(catalog.llm(model).context)
    if prompt_tokens + output_tokens > context:
        raise InputError(
            f"{model} handles at most {context:,.0f} tokens; prompt_tokens + output_tokens is "
            f"{prompt_tokens + output_tokens:,.0f}: lower them or choose a model with more context"
        )


def require_memory(model: str, xpu: str, precision: str, xpus: int = 0) -> None:
    """Refuse an instance whose memory can't hold a model's weights.

    Args:
        model: id of the model.
        xpu: id of the accelerator.
        precision: of the weights.
        xpus: devices in the instance; 0 if it may be any number.

    Raises:
        InputError: the weights don't fit; the message says how many devices would hold them.
    """
    llm, device, number = catalog.llm(model), catalog.xpu(xpu), specs.precision(precision)
    efficiency = catalog.efficiency()
    weights = catalog.memory_gb(float(architecture.weight_bytes(llm, number)))
    each = catalog.memory_gb(float(device.memory * efficiency.usable_memory))
    needed = math.ceil(float(roofline.devices_for_weights(llm, device, number, efficiency)))
    most = xpus or (None if float(device.link_domain) > 1.0 else 1)
    if most is None or needed <= most:
        return
    problem = (
        f"{model} in {precision} needs {weights:,.3g} GB for its weights and {most} x {xpu} "
        f"hold {each * most:,.3g} GB"
    )
    if float(device.link_domain) > 1.0:
        raise InputError(f"{problem}: use at least {needed} xPUs per instance")
    raise InputError(
        f"{problem}: it would take {needed} of them, and they have no links to share a model over; "
        f"choose a smaller model or an accelerator with links"
    )
