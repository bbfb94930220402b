"""Where an adapter's base model is: said in its configuration, which PEFT reads, and in its README.md, for people.

PEFT's ``AutoPeftModel`` loads what ``base_model_name_or_path`` names, at ``revision``. A published base is named by
repository and commit. Any other has no address that holds on another machine, so what is named is the folder below the
warehouse, as ``./models/<hash>``: it is found by who works in the warehouse, and can't be taken for a name on the hub
(``None`` and ``models/<hash>`` are, and the hub would be asked for them).

None of this is the adapter's content: the same training has the same hash wherever the base came from.
"""

import json
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData

from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.warehouse.atomic import written_aside

__all__ = ["CARD", "CONFIG", "base_facts", "config_bytes", "held_in", "homeless", "is_published", "tell_base"]

CARD = "README.md"
CONFIG = "adapter_config.json"
_BASE, _REVISION = "base_model_name_or_path", "revision"


def is_published(base: ResolvedModel) -> bool:
    """Return whether the base came from the hub itself; what was taken in a repository's place may be another model."""
    return base.source == "hub"


def config_bytes(config: dict[str, Any], *, base: str | None, revision: str | None) -> bytes:
    """Return an adapter's configuration as it is written, naming its base."""
    named = config | {_BASE: base, _REVISION: revision}
    return (json.dumps(named, indent=2, sort_keys=True) + "\n").encode()


def homeless(config: bytes) -> bytes:
    """Return a written configuration as it is where it does not say where the base is."""
    try:
        found = json.loads(config)
    except ValueError:
        return config
    if not isinstance(found, dict) or (found.get(_BASE) is None and found.get(_REVISION) is None):
        return config
    return config_bytes(found, base=None, revision=None)


def tell_base(folder: Path, *, base: ResolvedModel, variant: str) -> None:
    """Write into an adapter's directory where its base is.

    :param variant: as which it was trained, ``<model>@<experiment>``
    """
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    address = base.repo_id if is_published(base) else f"./{_below_warehouse(base)}"
    written = config_bytes(config, base=address, revision=base.revision)
    for name, content in {
        CONFIG: written,
        CARD: _card(folder.name, base=base, variant=variant).encode(),
    }.items():
        with written_aside(folder / name) as aside:
            aside.write_bytes(content)


def base_facts(base: ResolvedModel) -> dict[str, str]:
    """Return what tells a base model from others, by name; nothing of this machine."""
    facts = {"model": f"{base.model} ({base.architecture}, {base.parameters:,} parameters)"}
    if is_published(base):
        facts["repository"] = f"{base.repo_id}, commit {base.revision}"
    elif base.repo_id is not None:
        facts["in the place of"] = f"{base.repo_id}, as a {base.source} of whoever made the study"
    else:
        facts["from"] = "built by BioAlign (tiny)" if base.source == "tiny" else f"a {base.source}"
    return facts | {"SHA-256 of its files": base.weights_sha256, "held in": held_in(base)}


def held_in(base: ResolvedModel) -> str:
    """Return in words how a base's weights were held while it was trained and measured."""
    return (
        "4 bits (NF4, double quantisation)" if base.quantisation == "nf4" else "the type that it computes in"
    )


def _below_warehouse(base: ResolvedModel) -> str:
    """Return the base's folder below the warehouse; of one that lies elsewhere, where its hash would stand there."""
    return f"models/{base.weights_sha256}" if Path(base.path).is_absolute() else base.path


def _card(name: str, *, base: ResolvedModel, variant: str) -> str:
    data = ModelCardData(
        library_name="peft",
        tags=["bioalign", "lora"],
        base_model=base.repo_id if is_published(base) else None,
    )
    facts = "\n".join(f"| {what} | {told} |" for what, told in base_facts(base).items())
    return f"""---
{data.to_yaml()}
---

# Adapter {variant}

A LoRA adapter that BioAlign trained; `training.adapter` of its warehouse says from what. Its base model:

| | |
| --- | --- |
{facts}

{_way(name, base=base)}

A folder with figures, settings and the base beside the adapter, or with both merged, to hand on:

```bash
bioalign export --adapter {variant} FOLDER [--merged]
```
"""


def _way(name: str, *, base: ResolvedModel) -> str:
    """Return how to load it."""
    if is_published(base):
        return f"""PEFT fetches the base at that commit:

```python
from peft import AutoPeftModelForCausalLM

model = AutoPeftModelForCausalLM.from_pretrained("adapters/{name}")  # below the warehouse
```"""
    if not Path(base.path).is_absolute():
        return f"""The base lies in the warehouse, in `{base.path}`. In the warehouse's folder, wherever that is now:

```python
from peft import AutoPeftModelForCausalLM

model = AutoPeftModelForCausalLM.from_pretrained("adapters/{name}")
```"""
    return f"""The base is used where it lies, and `bioalign models` tells where: BASE below.

```python
from peft import PeftModel
from transformers import AutoModelForCausalLM

model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("BASE"), "adapters/{name}")
```"""
