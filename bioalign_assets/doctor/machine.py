"""What this machine has: Python, torch, a card, bitsandbytes, Unsloth, a login of the hub, memory and disk."""

import importlib.metadata
import importlib.util
import platform
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import httpx
import huggingface_hub
import huggingface_hub.constants

from bioalign_assets.models.backends.choose import unsloth_lacks
from bioalign_assets.models.fetching import cache_folder, free_disk
from bioalign_assets.models.needs import gigabytes

__all__ = ["Card", "Hub", "Line", "Machine", "look_at_machine"]

_PATIENCE_S = 3.0
"""How long to wait for the hub, in s."""
_ROUND_TRIP_ERROR = 0.2
"""Largest error of a weight in NF4, as a share of the largest weight of its block: half the widest gap between levels
(0.152, Dettmers et al. 2023, appendix E), and some for the quantised scale."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """What was looked at, what was found, and the way to mend it (empty where nothing is to be mended)."""

    what: str
    found: str
    state: Literal["ok", "note", "missing"] = "ok"
    """``note`` is good to know; with anything ``missing`` the study can't run here"""
    mend: str = ""


@dataclass(frozen=True, kw_only=True)
class Card:
    """A CUDA card."""

    name: str
    total_bytes: int
    free_bytes: int
    has_bfloat16: bool


@dataclass(frozen=True, kw_only=True)
class Hub:
    """What the model hub says about us."""

    answers: bool
    login: Literal["none", "valid", "refused", "unknown"]
    user: str = ""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What was found."""

    card: Card | None
    memory_bytes: int
    can_quantise: bool
    unsloth_lacks: str
    hub: Hub
    free_cache_bytes: int
    lines: tuple[Line, ...]


def look_at_machine(*, token: str | None, needs_card: bool, needs_hub: bool) -> Machine:
    """Return what this machine has.

    :param token: login of the hub from the settings; else the one that is stored for this user is tried
    :param needs_card: whether the study has a model that a CPU is too slow for
    :param needs_hub: whether the study has a published model that is not here yet
    """
    with ThreadPoolExecutor(1) as waiting:  # the hub takes its time while torch and bitsandbytes load
        asked = waiting.submit(_hub, token or huggingface_hub.get_token())
        import torch

        from bioalign_assets.models.memory import total_memory

        card = _card(torch)
        quantises = _quantises(torch, device="cuda" if card else "cpu")
        hub = asked.result()
    lacking = unsloth_lacks()
    memory = total_memory(torch.device("cpu"))
    cache = cache_folder()
    lines = (
        Line(what="Python", found=platform.python_version()),
        Line(
            what="torch", found=f"{torch.__version__} (CUDA {torch.version.cuda or 'none: built for CPUs'})"
        ),
        _card_line(card, is_cpu_build=torch.version.cuda is None, is_needed=needs_card),
        _quantisation_line(quantises),
        _unsloth_line(lacking),
        _login_line(hub),
        _hub_line(hub, is_needed=needs_hub),
        Line(what="memory", found=f"{gigabytes(memory)} in all"),
        Line(what="disk, hub's cache", found=f"{gigabytes(free_disk(cache))} free in {cache}"),
    )
    return Machine(
        card=card, memory_bytes=memory, can_quantise=not quantises, unsloth_lacks=lacking, hub=hub,
        free_cache_bytes=free_disk(cache), lines=lines,
    )  # fmt: skip


def _card(torch: Any) -> Card | None:
    if not torch.cuda.is_available():
        return None
    free, total = torch.cuda.mem_get_info()
    return Card(
        name=torch.cuda.get_device_name(), total_bytes=int(total), free_bytes=int(free),
        has_bfloat16=bool(torch.cuda.is_bf16_supported(including_emulation=False)),
    )  # fmt: skip


def _card_line(card: Card | None, *, is_cpu_build: bool, is_needed: bool) -> Line:
    if card is not None:
        kind = "bfloat16" if card.has_bfloat16 else "float16 (it has no bfloat16)"
        found = f"{card.name}, {gigabytes(card.total_bytes)}, {gigabytes(card.free_bytes)} free, computes in {kind}"
        return Line(what="CUDA card", found=found)
    return Line(
        what="CUDA card", found="none that torch can use",
        state="missing" if is_needed else "note",
        mend="The study's large models need one: use a machine with an NVIDIA card"
        + (" and a torch built for CUDA (pip install torch)." if is_cpu_build else " and its driver (nvidia-smi).")
        if is_needed
        else "This study's models need none.",
    )  # fmt: skip


def _quantises(torch: Any, *, device: str) -> str:
    """Return why bitsandbytes can't quantise to NF4 here; an empty text if it does (it is tried)."""
    try:
        from bitsandbytes.functional import dequantize_4bit, quantize_4bit

        weight = torch.linspace(-1, 1, 64 * 64, device=device).reshape(64, 64)
        packed, state = quantize_4bit(weight, quant_type="nf4", compress_statistics=True)
        error = (dequantize_4bit(packed, state) - weight).abs().max().item()
    except Exception as error_:  # noqa: BLE001 - it raises whatever comes where it doesn't like a machine
        return f"{type(error_).__name__}: {' '.join(str(error_).split())}"
    return "" if error < _ROUND_TRIP_ERROR else f"weights that come back wrong by {error:.2f} of 1"


def _quantisation_line(problem: str) -> Line:
    version = _version("bitsandbytes")
    if problem:
        return Line(
            what="bitsandbytes", found=f"{version}: can't quantise ({problem})", state="missing",
            mend='pip install -U "bitsandbytes>=0.49", or set quantisation = "none" for each model '
            "(four times the memory).",
        )  # fmt: skip
    return Line(what="bitsandbytes", found=f"{version}: weights went to NF4 and back")


def _unsloth_line(lacking: str) -> Line:
    if not lacking:
        return Line(what="Unsloth", found=f'{_version("unsloth")}, for models with backend = "unsloth"')
    return Line(
        what="Unsloth", found=lacking, state="note",
        mend="Only models with backend = \"unsloth\" need it: pip install '.[gpu]' on Linux with a card.",
    )  # fmt: skip


def _login_line(hub: Hub) -> Line:
    where = "hf auth login, or set HF_TOKEN (a token: https://huggingface.co/settings/tokens)."
    if hub.login == "none":
        return Line(
            what="hub login",
            found="no token",
            state="note",
            mend=f"Models behind a licence need one: {where}",
        )
    if hub.login == "refused":
        return Line(
            what="hub login", found="a token that the hub refuses", state="note", mend=f"Renew it: {where}"
        )
    found = (
        f"token of {hub.user}" if hub.login == "valid" else "a token; whether it is valid only the hub knows"
    )
    return Line(what="hub login", found=found)


def _hub_line(hub: Hub, *, is_needed: bool) -> Line:
    if hub.answers:
        return Line(what="model hub", found=f"{huggingface_hub.constants.ENDPOINT} answers")
    offline = "told not to ask (HF_HUB_OFFLINE)" if huggingface_hub.constants.HF_HUB_OFFLINE else "no answer"
    return Line(
        what="model hub", found=f"{offline} ({huggingface_hub.constants.ENDPOINT})",
        state="missing" if is_needed else "note",
        mend="Fetching models needs it: mend the network, bring the hub's cache folder (HF_HOME) from a machine that "
        "has one, or take a folder or GGUF file in its place (bioalign models --take NAME=PATH)." if is_needed
        else "Everything that the study needs of it is here.",
    )  # fmt: skip


def _hub(token: str | None) -> Hub:
    """Ask the hub who we are, once and not for long."""
    unknown: Literal["none", "unknown"] = "unknown" if token else "none"
    if huggingface_hub.constants.HF_HUB_OFFLINE:
        return Hub(answers=False, login=unknown)
    try:
        answer = httpx.get(
            f"{huggingface_hub.constants.ENDPOINT}/api/whoami-v2",
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=_PATIENCE_S,
        )
        user = str(answer.json().get("name", "")) if answer.status_code == httpx.codes.OK else ""
    except (httpx.HTTPError, ValueError, AttributeError):
        return Hub(answers=False, login=unknown)
    if token and user:
        return Hub(answers=True, login="valid", user=user)
    is_refusal = answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
    if token is None or not is_refusal:
        return Hub(answers=is_refusal or answer.is_success, login=unknown)
    return Hub(answers=True, login="refused")


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
