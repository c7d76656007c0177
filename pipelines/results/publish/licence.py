"""The licence of the data: what the user says, as the hub's metadata expects it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from winnow.nearest import hint

_NAMES = """
    afl-3.0 agpl-3.0 apache-2.0 apple-amlr apple-ascl artistic-2.0 bigcode-openrail-m bigscience-bloom-rail-1.0
    bigscience-openrail-m bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc cc-by-2.0 cc-by-2.5
    cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0
    cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0
    cdla-permissive-2.0 cdla-sharing-1.0 creativeml-openrail-m ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2
    gfdl gpl gpl-2.0 gpl-3.0 isc lgpl lgpl-2.1 lgpl-3.0 lppl-1.3c mit mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1 openrail
    osl-3.0 pddl postgresql unlicense wtfpl zlib
"""
KNOWN = frozenset(_NAMES.split())
"""Identifiers that the hub knows (https://huggingface.co/docs/hub/repositories-licenses), apart from other, unknown."""


@dataclass(frozen=True, slots=True)
class Licence:
    """`metadata`: keys of the card's front matter. `sentence`: what the card says. `hint`: a likely slip, or ''."""

    metadata: dict[str, str]
    sentence: str
    hint: str


def licence(given: str | None) -> Licence:
    """The licence of the data from what `--licence` says; None where it says nothing."""
    name = " ".join((given or "").split())
    if not name or name.lower() == "unknown":
        return Licence(
            {"license": "unknown"},
            "**Of the data: unknown: set it** (`winnow publish --licence ...`). Whoever published this did not say under "
            "which terms the texts may be used. Do not assume any.",
            "the licence of the data is unknown: set it with --licence before others use it",
        )
    identifier = name.lower()
    if identifier in KNOWN:
        return Licence({"license": identifier}, f"Of the data, as its publisher states: **{name}**.", "")
    said = f"'{name}' is no licence identifier of the hub and is published as 'other'"
    return Licence(
        {"license": "other", "license_name": re.sub(r"[^a-z0-9.+-]+", "-", identifier).strip("-") or "other"},
        f"Of the data, as its publisher states: **{name}**.",
        said + hint(identifier, sorted(KNOWN), 0.6),
    )
