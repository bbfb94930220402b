"""Every benchmark runs on a small input; those of two ways end with a ratio, how large the machine decides."""

import json
import re
import runpy
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn import Linear4bit
from transformers import AutoModelForCausalLM

from benchmarks import (
    alignment,
    alignment_picture,
    answers,
    baselines,
    curation,
    embeddings,
    gpu_qlora,
    gpu_qlora_way,
    intervals,
    packing,
    pooling,
    sixteen_bits,
)
from benchmarks.baselines import KINDS
from benchmarks.random_nf4 import save_random_model
from benchmarks.side_by_side import machine, side_by_side
from benchmarks.ways import StepClock, compile_layers, train_ours
from bioalign_assets.alignment.measures import MEASURES
from bioalign_assets.ctd.synthetic import write_demo_release
from bioalign_assets.evaluation.baselines import BASELINES
from bioalign_assets.evaluation.metrics import FAMILIES
from bioalign_assets.models.backends.own_process import run_in_own_process
from bioalign_assets.models.loading import load_base
from bioalign_assets.study.models import ModelSpec
from bioalign_assets.study.source import DemoRelease
from bioalign_assets_tests import tiny_models
from bioalign_assets_tests.micro import STUDY

SAME = {
    curation: "equal pairs and equal generator afterwards: yes",
    packing: "the two loss curves differ by ",
    answers: "same answers: ",
    embeddings: "largest difference of two values: ",
}
"""What each benchmark of two ways says of the results that it compares."""


@pytest.mark.parametrize(
    ("benchmark", "small"),
    [
        (curation, "--rows 200 --repeats 2"),
        (packing, "--models llama --steps 1 --warm-up 1 --repeats 1"),
        (answers, "--rows 20 --repeats 1 --tuned"),
        (embeddings, "--rows 60 --repeats 1"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_benchmark_ends_with_its_ratio(benchmark, small, capsys):
    benchmark.main(["--source", "synthetic", *small.split()])
    printed = capsys.readouterr().out
    last = printed.splitlines()[-1]
    assert re.fullmatch(r"ratio \d+(\.\d+)?", last)
    assert float(last.removeprefix("ratio ")) > 0
    assert SAME[benchmark] in printed


def test_baselines_give_a_table_of_every_kind_of_dataset(capsys):
    baselines.main(["--release", "synthetic", "--rows", "600", "--resamples", "100"])
    printed = capsys.readouterr().out
    rows = [line.strip("| ").split(" | ") for line in printed.splitlines() if line.startswith("| ")]
    assert rows[0][0] == "dataset"
    assert {row[0].partition(",")[0] for row in rows[2:]} == {kind.name for kind in KINDS}
    assert {row[2] for row in rows[2:]} == set(BASELINES)
    for row in rows[2:]:
        assert re.fullmatch(r"0\.\d{3} \[\d\.\d{3}, \d\.\d{3}\]", row[3]), row


def test_alignment_gives_every_measure_of_each_representation_and_what_p_values_are_worth(capsys):
    alignment.main(["--release", "synthetic", "--rewirings", "19", "--resamples", "50"])
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines() if " | " in line]
    found = {(row[1], row[2]): float(row[7]) for row in rows[1:] if row[0] == "all" and row[2] in MEASURES}
    assert {name for name, _ in found} == {"random", "names' LSA", "TransE"}
    assert {measure for name, measure in found if name == "TransE"} == set(MEASURES)
    assert found["TransE", "edge_procrustes"] == 0.05
    alignment.main(["--release", "synthetic", "--trust", "2", "--rewirings", "19"])
    printed = capsys.readouterr().out
    assert "| the rewired edges' own factors | gene_rsa | 0 of 2 | 0.000 |" in printed  # 1/20 is the least p


def losses_of_compiled_layers():
    loaded = tiny_models.load("llama")
    compile_layers(loaded.model, backend="aot_eager")  # the same graphs, without minutes of a C++ compiler
    spec = tiny_models.experiment(steps=3)
    return train_ours(tiny_models.training_rows(12), loaded=loaded, spec=spec, warm_up=1).losses


def test_compiled_layers_learn_the_same():
    compiled = run_in_own_process(  # torch keeps tensors of what it compiled, which others here would count
        f"{__name__}:{losses_of_compiled_layers.__name__}", first="torch", arguments={}, what="a training"
    )
    spec = tiny_models.experiment(steps=3)
    plain = train_ours(tiny_models.training_rows(12), loaded=tiny_models.load("llama"), spec=spec, warm_up=1)
    assert compiled == pytest.approx(plain.losses, abs=1e-5)


def test_what_moves_in_sixteen_bits_is_told(tmp_path, capsys):
    release = tmp_path / "demo.csv"
    write_demo_release(release, spec=DemoRelease())
    folder = tiny_models.resolved("llama").folder(warehouse=tiny_models.warehouse())
    sixteen_bits.main(["--source", str(release), "--model", str(folder), "--rows", "20", "--steps", "2"])
    printed = capsys.readouterr().out
    cosine = float(re.search(r"cosine with the same in float32 (\S+)", printed)[1])
    assert 0.99 < cosine < 1
    apart = float(re.search(r"apart by (\S+) on the mean", printed)[1])
    assert 0 < apart < 0.1


TINY = ["--tiny", "--steps", "1", "--warm-up", "1", "--source", "synthetic"]
COMPARED = ["TRL, padded 2 x 4", "Unsloth", "BioAlign, packed"]


def table_of(text):
    return [line.strip("| ").split(" | ") for line in text.splitlines() if "(tiny)" in line]


def test_the_papers_models_train_in_tiny_sizes_and_only_what_is_missing_trains_again(
    tmp_path, capsys, monkeypatch
):
    results = tmp_path / "results.json"
    models = ["llama-3-8b", "phi-3-mini"]  # Mistral's layers have the names and shapes of Llama's
    arguments = [*TINY, "--models", *models, "--ways", *COMPARED, "--results", str(results)]
    gpu_qlora.main([*arguments, "--one-process"])
    printed = capsys.readouterr().out
    rows = table_of(printed)
    assert {row[0] for row in rows} == {f"{name} (tiny)" for name in models}
    assert [row[1] for row in rows] == COMPARED * 2
    for row in rows:
        assert row[2].startswith("not installed") if row[1] == "Unsloth" else float(row[2]) > 0
    differences = [float(found) for found in re.findall(r"ours differ by (\S+) nats", printed)]
    assert len(differences) == 2
    assert max(differences) < 1e-4

    kept = json.loads(results.read_text())
    kept["measured"]["phi-3-mini: BioAlign, packed"] = {"error": "OutOfMemoryError"}
    results.write_text(json.dumps(kept))
    started = []

    def run_here(command, **_):
        """Run what a process of its own would: to start one takes longer than all that it measures."""
        started.append(command[3])
        monkeypatch.setattr(sys, "argv", command[2:])
        runpy.run_path(gpu_qlora_way.__file__, run_name="__main__")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(gpu_qlora.subprocess, "run", run_here)
    gpu_qlora.main(arguments)
    assert started == ["BioAlign, packed"]
    again = table_of(capsys.readouterr().out)
    assert again[:-1] == rows[:-1]
    assert float(again[-1][2]) > 0


def test_figures_of_another_setting_are_not_mixed_in(tmp_path):
    results = tmp_path / "results.json"
    results.write_text(json.dumps({"setting": {"card": "another"}, "measured": {}}))
    with pytest.raises(SystemExit, match="another"):
        gpu_qlora.main([*TINY, "--results", str(results)])


def test_nothing_begins_after_the_time_is_over(tmp_path, capsys):
    gpu_qlora.main([*TINY, "--minutes", "0", "--results", str(tmp_path / "results.json")])
    assert {row[2] for row in table_of(capsys.readouterr().out)} == {"out of time"}


def test_a_way_that_fails_says_why_and_ends_no_other(tmp_path):
    measured = gpu_qlora_way.run_way("BioAlign, packed", folder=tmp_path, steps=1, warm_up=1)
    assert "rows.parquet" in measured["error"]


@pytest.mark.parametrize("name", gpu_qlora.CONFIGURATIONS)
def test_random_models_are_those_of_the_paper_in_nf4(tmp_path, name):
    config = gpu_qlora.CONFIGURATIONS[name]()
    with torch.device("meta"):
        whole = AutoModelForCausalLM.from_config(config)
    assert whole.num_parameters() == {
        "llama-3-8b": 8_030_261_248, "mistral-7b": 7_248_023_552, "phi-3-mini": 3_821_079_552
    }[name]  # fmt: skip
    for key, value in gpu_qlora.TINY.items():
        setattr(config, key, value)
    config.head_dim = 16
    resolved = save_random_model(
        config,
        name=name,
        folder=tmp_path,
        texts=[f"TNF{i} is associated with Asthma" for i in range(50)],
        tokenizer=None,
    )
    model = load_base(resolved, spec=ModelSpec(tiny="llama"), warehouse=tmp_path).model
    four_bit = {layer for layer, module in model.named_modules() if isinstance(module, Linear4bit)}
    linear = {layer for layer, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    assert linear - four_bit == {"lm_head"}
    weights = [module.weight for module in model.modules() if isinstance(module, Linear4bit)]
    assert {weight.quant_state.quant_type for weight in weights} == {"nf4"}
    assert all(weight.quant_state.nested for weight in weights)
    spread = (
        torch.cat([dequantize_4bit(weight.data, weight.quant_state).flatten() for weight in weights])
        .float()
        .std()
    )
    assert spread == pytest.approx(0.02, rel=0.05)


def test_steps_before_the_warm_up_ends_are_not_timed(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("benchmarks.ways.perf_counter", lambda: now[0])
    clock = StepClock(warm_up=2)
    for step, seconds in enumerate([50, 20, 1, 2, 3], start=1):
        now[0] += seconds
        state = SimpleNamespace(global_step=step, max_steps=5, num_input_tokens_seen=100 * step)
        clock.on_step_end(None, state, None)
    timed = clock.timed(whole_seconds=80.0, losses=[1.0])
    assert (timed.steps, timed.seconds, timed.tokens) == (3, 6.0, 300)


def test_a_training_that_is_all_warm_up_times_nothing():
    clock = StepClock(warm_up=1)
    clock.on_step_end(None, SimpleNamespace(global_step=1, max_steps=1, num_input_tokens_seen=1), None)
    with pytest.raises(ValueError, match="no step after 1 steps"):
        clock.timed(whole_seconds=1.0, losses=[])


def test_calls_alternate_and_the_first_of_each_does_not_count(monkeypatch, capsys):
    calls, now = [], [0.0]
    monkeypatch.setattr("benchmarks.side_by_side.perf_counter", lambda: now[0])

    def taking(name, seconds):
        durations = iter(seconds)

        def call():
            calls.append(name)
            now[0] += next(durations)

        return call

    ratio = side_by_side(
        taking("A", [50, 1, 2, 9]), taking("B", [0, 6, 4, 5]), names=("fast", "slow"), repeats=3
    )
    assert "".join(calls) == "ABABABAB"
    assert ratio == 2.5
    *_, fast, slow, last = capsys.readouterr().out.splitlines()
    assert fast.split() == ["fast", "1000.000", "2000.000", "9000.000"]
    assert slow.split() == ["slow", "4000.000", "5000.000", "6000.000"]
    assert last == "ratio 2.500"


def test_nothing_to_time():
    with pytest.raises(ValueError, match="at least 1"):
        side_by_side(int, int, repeats=0)


def test_machine_is_one_line():
    assert re.fullmatch(r".+, \d+ cores?, .+, Python 3\.\d+\.\d+.*", machine())


def test_the_benchmark_of_intervals_times_every_figure(capsys):
    intervals.main(["--rows", "200", "--sample", "60", "--width", "20", "--resamples", "100"])
    timed = re.findall(r"^ +(\d+\.\d{3}) +(\d+\.\d{3})  (\S.*)$", capsys.readouterr().out, flags=re.MULTILINE)
    assert all(0 <= float(seconds) < 60 for *both, _ in timed for seconds in both)
    told = {name for *_, names in timed for name in names.split(", ")}
    untimed = {"map", "rankings"}  # means and shares, as others have them
    assert told == {m.name for family in FAMILIES if family.reads not in untimed for m in family.metrics}


def test_the_benchmark_of_pooling_shows_that_only_the_padded_mean_hangs_on_the_order(tmp_path, capsys):
    study = tmp_path / "micro.toml"
    study.write_text(STUDY, encoding="utf-8")
    pooling.main(["--study", str(study)])
    lines = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    rows = {cells[0].strip(): [float(cell) for cell in cells[1:]] for cells in lines[2:]}
    assert len(lines[0]) == 6
    (mean, mean_shuffled, padded, padded_shuffled) = rows.values()
    assert mean == pytest.approx(mean_shuffled, abs=2e-4)
    assert not np.allclose(padded, padded_shuffled, atol=2e-4)
    assert not np.allclose(padded, mean, atol=2e-4)


def test_the_picture_of_alignment_shows_what_it_computed_and_is_drawn_the_same_again(tmp_path):
    figure = alignment_picture.alignment_picture()
    titles = " ".join(axes.get_title() for axes in figure.axes)
    assert "RSA = 0." in titles
    assert "p = 0.005" in titles  # no rewiring does as well as the graph that the vectors were made for
    for name in ("one", "two"):
        alignment_picture.main(["--to", str(tmp_path / f"{name}.svg")])
    one, two = ((tmp_path / f"{name}.svg").read_bytes() for name in ("one", "two"))
    assert one == two
    assert b"<svg" in one
