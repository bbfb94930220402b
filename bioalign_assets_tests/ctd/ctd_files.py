"""Small CTD files for the tests, written in every form that readers meet."""

import csv
import gzip
import io
from pathlib import Path

from bioalign_assets.ctd.release import read_associations
from bioalign_assets.ctd.source import fetched, keep

COLUMNS = ("GeneSymbol", "GeneID", "DiseaseName", "DiseaseID", "DirectEvidence", "OmimIDs", "PubMedIDs")
FULL_COLUMNS = (*COLUMNS[:5], "InferenceChemicalName", "InferenceScore", *COLUMNS[5:])
DATE = "Wed Aug 27 14:25:10 EDT 2025"
ROWS = (
    ("NA", "1", "Made-up, disease", "MESH:D000001", "marker/mechanism", "", "123|45"),
    ("null", "22", 'The "other" one', "OMIM:600001", "marker/mechanism|therapeutic", "600001|600002", ""),
    ("X#1", "333", "#hash disease", "MESH:C000003", "therapeutic", "", "7"),
)


def block(columns=COLUMNS, *, delimiter=",", date=DATE, lone_hash=True, terms=3):
    lines = ["# made-up terms, of any length"] * terms
    if date is not None:
        lines += [f"# Report created: {date}", "#"]
    lines += ["# Fields:", "# " + delimiter.join(columns)]
    return "".join(f"{line}\n" for line in [*lines, *(["#"] if lone_hash else [])])


def table(rows=ROWS, *, header=None, delimiter=",", end="\n"):
    """Return a file's text; ``header`` is the text above the rows, by default CTD's block."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=end).writerows(rows)
    above = block(delimiter=delimiter) if header is None else header
    return above.replace("\n", end) + text.getvalue()


def save(path: Path, text, *, gz=None):
    data = text if isinstance(text, bytes) else text.encode()
    is_gzip = path.name.endswith(".gz") if gz is None else gz
    path.write_bytes(gzip.compress(data, mtime=0) if is_gzip else data)
    return path


def fetch(source, *, into, verify=read_associations, demo=None, stem="release", **more):
    """Fetch a file, read it and keep it, as the assets do."""
    with fetched(str(source), into=into, demo=demo, stem=stem, **more) as raw:
        verified = verify(raw.path)
        return keep(raw, into=into), verified
