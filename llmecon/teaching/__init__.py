"""Exercises: their keys, the mistakes that answers show, and parameters that differ by student.

>>> from llmecon import teaching
>>> [of.kind for of in teaching.exercises("xpu-needs")][:3]
['recall', 'paper', 'code']
>>> teaching.check("xpu-needs-1", 6 * 69.5e9 * 15e12)
Right.
>>> teaching.check("xpu-needs-1", 2 * 69.5e9 * 15e12).mistake
'forward-only'
"""

from llmecon import lazy

__getattr__, __dir__, __all__ = lazy.attach(__name__, __file__)
