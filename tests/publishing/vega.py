"""Vega's own evaluation of expressions, by the copy of Vega that makes still pictures."""

import re
from collections.abc import Mapping

import vl_convert

from llmecon.publishing.panel.expressions import Program


def evaluate(program: Program, inputs: Mapping[str, float]) -> dict[str, float]:
    """What Vega computes for a program whose results depend on signals alone."""
    signals = [{"name": name, "value": value} for name, value in inputs.items()]
    signals += [{"name": name, "update": text} for name, text in program.signals]
    marks = [
        {"type": "text", "encode": {"update": {"text": {"signal": f"'{name}=' + ({text})"}}}}
        for name, text in program.results.items()
    ]
    picture = vl_convert.vega_to_svg({"width": 9, "height": 9, "signals": signals, "marks": marks})
    found = re.findall(r">(\w+)=([^<]*)</text>", picture)
    special = {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf", "true": "1", "false": "0"}
    return {name: float(special.get(text, text)) for name, text in found}
