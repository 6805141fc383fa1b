"""stub"""
from llmecon.studies.validation.study import Study


def facts(study: Study) -> dict[str, object]:
    return {"study": study}
