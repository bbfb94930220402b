"""Errors that a person can act on: what was looked at, what was found, what was expected, what to do.

Every error that BioAlign raises for bad input is one of these. It does not hold errors of programming
(those are ``ValueError`` and ``TypeError``, raised where they happen).
"""

__all__ = [
    "BioAlignError",
    "CurationError",
    "DiskFullError",
    "EvaluationError",
    "ModelError",
    "ProvenanceError",
    "ReleaseError",
    "SourceError",
    "StudyError",
    "WarehouseError",
]


class BioAlignError(Exception):
    """A condition that the user can mend, told in one paragraph.

    :param subject: the file, URL, key or table that is wrong
    :param found: what stands there
    :param expected: what should stand there
    :param remedy: one or two whole sentences: what to do now
    """

    def __init__(self, subject: str, *, found: str, expected: str, remedy: str) -> None:
        self.subject = subject
        self.found = found
        self.expected = expected
        self.remedy = remedy
        super().__init__(f"{subject}: found {found}, expected {expected}. {remedy}")

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the trip between Dagster's processes (keyword-only arguments don't by default)."""
        return (_rebuild, (type(self), self.subject, self.found, self.expected, self.remedy))


def _rebuild(
    kind: type[BioAlignError], subject: str, found: str, expected: str, remedy: str
) -> BioAlignError:
    return kind(subject, found=found, expected=expected, remedy=remedy)


class StudyError(BioAlignError):
    """The study file, or a setting in the environment, is not valid."""


class SourceError(BioAlignError):
    """A source can't be reached, or does not hold what its name says (an HTML page, a truncated gzip)."""


class ReleaseError(BioAlignError):
    """A file was fetched whole, but is not a CTD table as we know it."""


class CurationError(BioAlignError):
    """A dataset can't be made from these associations."""


class EvaluationError(BioAlignError):
    """Embeddings, answers or pairs from which the asked figure can't be computed."""


class ModelError(BioAlignError):
    """A base model can't be found, loaded or run here."""


class ProvenanceError(BioAlignError):
    """Two things that should belong together (an adapter, its base model, its dataset) don't."""


class WarehouseError(BioAlignError):
    """A table is missing, or does not fit its schema."""


class DiskFullError(WarehouseError):
    """The disk of the warehouse is full: whatever is tried next meets the same."""
