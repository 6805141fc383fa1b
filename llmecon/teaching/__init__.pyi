from . import chapters, checking, judging, records, turning, varying
from .checking import check, exercise, exercises, key_of, resolved
from .judging import judge
from .records import Exercise, Key, Mistake, Verdict
from .turning import first_of_many, turning_point
from .varying import variants, vary

__all__ = [
    "Exercise",
    "Key",
    "Mistake",
    "Verdict",
    "chapters",
    "check",
    "checking",
    "exercise",
    "exercises",
    "first_of_many",
    "judge",
    "judging",
    "key_of",
    "records",
    "resolved",
    "turning",
    "turning_point",
    "variants",
    "vary",
    "varying",
]
