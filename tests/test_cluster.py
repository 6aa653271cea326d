"""Pieces and runs on the workers of a Dask scheduler: the results of one process, also where a worker dies."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from nst_np import Objective, cluster, load_network, stylize
from nst_np.cli import experiment_main, main
from nst_np.config import Config
from nst_np.errors import InputError, NSTError

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def two():
    """Two processes."""
    with cluster.cluster_of("local:2") as found:
        yield found


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).uniform(0, 255, (3, 149, 181, 3))


def objective_of(images, **options):
    network = load_network("vgg16", "random:0", device="cpu", dtype="float64", threads=1)
    layers = {"content_layers": {"relu2_1": 1.0}, "style_layers": {"relu1_1": 1.0, "relu2_1": 1.0}}
    return Objective(network, content=images[1], style=images[2], **layers, normalization="relative", tv_weight=0.1,
                     style_loss={"wasserstein": 1.0, "gram": 1.0}, **options)


def test_the_result_is_that_of_one_process(two, images):
    value, gradient = objective_of(images).value_and_grad(images[0])
    other_value, other_gradient = objective_of(images, pieces=4, run=two).value_and_grad(images[0])
    assert other_value == pytest.approx(value, rel=1e-12)
    assert abs(other_gradient - gradient).max() <= 1e-11 * abs(gradient).max()


def test_it_is_the_same_bits_on_any_number_of_workers(two, images):
    here = objective_of(images, pieces=4).value_and_grad(images[0])
    there = objective_of(images, pieces=4, run=two).value_and_grad(images[0])
    assert here[0] == there[0]
    np.testing.assert_array_equal(here[1], there[1])


def test_network_and_targets_are_sent_once(two, images, monkeypatch):
    sent = []
    scatter = two._client.scatter

    def counting(values, **options):
        sent.extend(values)
        return scatter(values, **options)

    objective = objective_of(images, pieces=4, run=two)
    monkeypatch.setattr(two._client, "scatter", counting)
    objective.evaluate(images[0])
    assert len(sent) == 1 + 4 + 4 + 1  # the network, targets, pixels, and the gradient by the statistics
    sent.clear()
    objective.evaluate(images[0] / 2)
    assert [type(value).__name__ for value in sent] == ["ndarray"] * 4 + ["dict"]
    assert len(two._sent) == 1 + 4 + 4 + 1  # nothing of the first evaluation is kept but what was used again


def slowly(number):
    time.sleep(0.4)
    return number * number, os.getpid()


def test_a_worker_that_dies_costs_its_piece(images):
    with cluster.cluster_of("local:2") as mortal:
        objective = objective_of(images, pieces=4, run=mortal)
        first = objective.value_and_grad(images[0])
        (victim, *_) = mortal._client.run(os.getpid).values()
        threading.Timer(0.6, os.kill, (victim, signal.SIGKILL)).start()
        squares, who = zip(*mortal(slowly, range(100, 106)), strict=True)
        assert squares == tuple(number**2 for number in range(100, 106))
        assert victim not in mortal._client.run(os.getpid).values()
        assert len(set(who)) >= 2
        again = objective.value_and_grad(images[0])
        assert again[0] == first[0]
        np.testing.assert_array_equal(again[1], first[1])


def test_it_gives_up_in_one_line(monkeypatch):
    """With a client whose workers are always lost."""
    waits = []

    def gather(futures):
        raise distributed.KilledWorker("task", SimpleNamespace(address="tcp://1"), 3)

    lost = object.__new__(cluster.Cluster)
    lost._name, lost._sent, lost._distributed = "local:1", {}, distributed
    lost._client = SimpleNamespace(submit=lambda *_, **__: None, gather=gather, scatter=lambda values, **_: values,
                                   wait_for_workers=lambda *_, **__: waits.append(1))
    with pytest.raises(NSTError, match="^scheduler 'local:1' has no worker left that finishes a piece") as error:
        lost(abs, [1, 2])
    assert "\n" not in str(error.value)
    assert len(waits) == cluster.TRIES - 1


# --- runs -------------------------------------------------------------------------------------------------------------


def test_a_run_is_that_of_one_process(two, images, monkeypatch):
    settings = {"network": "wavelet", "dtype": "float64", "iterations": 3, "coarse_to_fine": 1, "device": "cpu"}
    alone = stylize(images[0], images[2], **settings)
    monkeypatch.setattr(cluster, "LEAST_AREA", 100)
    shared = stylize(images[0], images[2], scheduler=two._client.scheduler.address, **settings)
    assert shared.settings.scheduler.startswith("tcp://")
    np.testing.assert_allclose([row["total"] for row in shared.history], [row["total"] for row in alone.history],
                               rtol=1e-9)
    assert not (shared.image == images[0].astype(np.uint8)).all()


def test_small_pictures_are_not_cut(two):
    assert two.pieces((511, 512, 3)) == 1
    assert two.pieces((512, 512, 3)) == two.workers == 2


def test_runs_of_an_experiment_go_to_workers(two, tmp_path, monkeypatch, images):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    for name, pixels in zip("ab", images, strict=False):
        Image.fromarray(pixels[:40, :48].astype(np.uint8)).save(f"{name}.png")
    (tmp_path / "seeds.toml").write_text('[settings]\ninit = "noise"\n[columns]\nseed = [1, 2]\n', encoding="utf-8")
    code = experiment_main(["seeds.toml", "a.png", "b.png", "-o", "out", "-q", "--network", "wavelet", "--size", "48",
                            "--iterations", "2", "--scheduler", two._client.scheduler.address])
    assert code == 0
    assert (tmp_path / "out" / "sheet.png").is_file()
    assert "scheduler" not in "".join(path.read_text(encoding="utf-8") for path in tmp_path.glob("out/runs/*/*.ini"))


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["local:", "local:0", "local:two", "local", "host:8786", "tcp:host"])
def test_an_address_has_one_of_two_forms(address):
    with pytest.raises(InputError, match=f"^scheduler must be tcp://HOST:PORT or local:N, .*, not '{address}'$"):
        Config(scheduler=address)


@pytest.mark.parametrize(("other", "words"), [({"tileable": True}, "pieces"), ({"device": "gpu:1"}, "device 'cpu'")])
def test_what_cannot_be_shared_out_is_refused(other, words):
    with pytest.raises(InputError, match=words):
        Config(scheduler="local:2", **other)


def test_a_scheduler_that_does_not_answer_is_one_line(tmp_path, monkeypatch, capsys, images):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cluster, "WAIT", 0.2)
    Image.fromarray(images[0].astype(np.uint8)).save("a.png")
    command = ["a.png", "a.png", "-o", "out.png", "--network", "wavelet", "-q", "--scheduler", "tcp://127.0.0.1:1"]
    assert main(command) == 2
    assert capsys.readouterr().err.startswith("nst-np: scheduler 'tcp://127.0.0.1:1' cannot be used: ")
    assert not (tmp_path / "out.png").exists()


def test_without_the_package_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"^scheduler needs distributed, .* pip install .*\[dask\]"):
        cluster.Cluster("local:2")
