"""Which systems the closed form is compared with a simulation for."""

import pytest

from llmecon import specs
from llmecon.checks import scheduler
from llmecon.errors import InputError


def test_more_devices_than_links_join_have_several_schedulers() -> None:
    fp8 = specs.precision("fp8")
    assert scheduler.one_scheduler("h100-sxm", 8, fp8).tensor == 8.0
    with pytest.raises(InputError, match=r"xpus: 16 x h100-sxm .* use at most 8"):
        scheduler.one_scheduler("h100-sxm", 16, fp8)
