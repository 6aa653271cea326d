"""Pieces: an evaluation in any number of them is that of the whole image, in threads and in other processes too."""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

from nst_np import Objective
from nst_np.backend import make_backend
from nst_np.errors import InputError
from nst_np.losses import TotalVariation
from nst_np.pieces import Piece, cut
from nst_np.terms import Term, tv_term
from tests.cases import OTHER_VGG, image, network

LAYERS = {"vgg19": {}, "wavelet": {"content_layers": {"scale2": 1.0}, "style_layers": {"scale1": 0.5, "scale3": 0.5}}}


def objective(name, shape, dtype="float64", **settings):
    return Objective(network(name, dtype), content=image(*shape, 1), style=image(70, 61, 2), tv_weight=0.3,
                     normalization="relative", center_content=True, **LAYERS[name], **settings)


def assert_same(pieces, whole, tolerance):
    assert pieces.terms == pytest.approx(whole.terms, rel=tolerance)
    np.testing.assert_allclose(pieces.gradient, whole.gradient, rtol=0, atol=tolerance * np.abs(whole.gradient).max())


@pytest.mark.parametrize(("shape", "number"), [((150, 181), 4), ((37, 53), 1000), ((64, 200), 3), ((21, 20), 2)])
@pytest.mark.parametrize("name", sorted(LAYERS))
def test_pieces_are_the_whole(name, shape, number):
    x = image(*shape, 3)
    assert_same(objective(name, shape, pieces=number).evaluate(x), objective(name, shape).evaluate(x), 1e-12)


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_pieces_in_single_precision(name):
    x = image(64, 200, 3)
    pieces = objective(name, (64, 200), "float32", pieces=4).evaluate(x)
    assert pieces.gradient.dtype == np.float32
    assert_same(pieces, objective(name, (64, 200), "float32").evaluate(x), 1e-4)


def test_maximum_pooling_and_the_deepest_layers():
    x, net = image(40, 300, 3), network("vgg16", pooling="max")
    settings = {"content": image(40, 300, 1), "content_layers": {"pool5": 1.0}}
    whole = Objective(net, **settings).evaluate(x)
    assert_same(Objective(net, **settings, pieces=3).evaluate(x), whole, 1e-12)


def test_edges_are_those_of_the_image_and_not_of_its_pieces():
    x, net = image(40, 90, 3), network("vgg16", **OTHER_VGG)
    settings = {"content": image(40, 90, 1), "content_layers": {"relu1_1": 1.0, "pool2": 1.0}, "tv_weight": 1e3,
                "tv_normalization": "nine-point"}
    whole = Objective(net, **settings).evaluate(x)
    assert_same(Objective(net, **settings, pieces=8).evaluate(x), whole, 1e-12)


def test_the_total_variation_of_an_image_that_repeats_has_no_edges():
    net, x = network("wavelet"), image(17, 22)
    objective = Objective(net, tv_weight=1.0, tv_normalization="nine-point", repeats=True)
    value, gradient = objective.value_and_grad(x)
    moved, moved_gradient = objective.value_and_grad(np.roll(x, (5, 9), (0, 1)))
    assert moved == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(moved_gradient, np.roll(gradient, (5, 9), (0, 1)), atol=1e-15)


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_a_smaller_halo_is_found_out(name, monkeypatch):
    x = image(100, 181, 3)
    one, whole = objective(name, x.shape[:2], pieces=2), objective(name, x.shape[:2]).evaluate(x)
    layer = "relu5_1" if name == "vgg19" else "scale3"
    halo = one.network.halo([layer]) - one.network.stride(layer)
    monkeypatch.setattr(one.network, "halo", lambda taps: halo)
    assert np.abs(one.evaluate(x).gradient - whole.gradient).max() > 1e-9 * np.abs(whole.gradient).max()


def test_total_variation_alone():
    x, net = image(11, 7, 3), network("wavelet")
    whole = Objective(net, [tv_term(2.0)]).evaluate(x)
    assert whole.terms == Objective(net, tv_weight=2.0).evaluate(x).terms
    assert_same(Objective(net, [tv_term(2.0)], pieces=6).evaluate(x), whole, 1e-13)


@pytest.mark.parametrize(("name", "layer"), [("vgg19", "relu1_1"), ("vgg19", "relu2_1"), ("wavelet", "scale1"),
                                             ("wavelet", "scale2")])
def test_losses_that_reach_beyond_a_piece(name, layer):
    """Also for the features of a layer, and where pieces are smaller than the network takes."""
    x, net = image(64, 60, 3), network(name)
    whole = Objective(net, [Term("tv", (layer,), TotalVariation())]).evaluate(x)
    F = net.features(x, [layer])[layer]
    assert whole.value == pytest.approx((np.diff(F, axis=0) ** 2).sum() + (np.diff(F, axis=1) ** 2).sum())
    assert_same(Objective(net, [Term("tv", (layer,), TotalVariation())], pieces=36).evaluate(x), whole, 1e-11)


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_threads_and_processes(name):
    x = image(32, 100, 3)
    whole = objective(name, (32, 100)).evaluate(x)
    with ThreadPoolExecutor(3) as threads:
        assert_same(objective(name, (32, 100), pieces=2, run=threads.map).evaluate(x), whole, 1e-12)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as processes:
        assert_same(objective(name, (32, 100), pieces=2, run=processes.map).evaluate(x), whole, 1e-12)


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_networks_backends_and_terms_can_be_sent(name):
    one = objective(name, (37, 53))
    sent = pickle.loads(pickle.dumps((one.network, one.terms)))
    x = image(37, 53, 3)
    assert_same(Objective(*sent).evaluate(x), one.evaluate(x), 1e-12)
    backend = pickle.loads(pickle.dumps(make_backend("cpu", "float32", threads=3, fast=False)))
    assert (backend.device, backend.dtype, backend.engine.layers) == ("cpu", np.float32, {})


def test_an_image_that_repeats_has_no_pieces():
    with pytest.raises(InputError, match="repeats cannot be worked on in pieces"):
        Objective(network("wavelet"), content=image(64, 64), repeats=True, pieces=4)
    with pytest.raises(InputError, match="pieces must be a whole number of at least 1, not 0"):
        Objective(network("wavelet"), content=image(64, 64), pieces=0)


# --- pieces -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(150, 181), (16, 16), (5, 40), (33, 200)])
@pytest.mark.parametrize("number", [1, 2, 5, 100])
@pytest.mark.parametrize("multiple", [1, 16])
def test_pieces_are_all_of_an_image_once(shape, number, multiple):
    seen = np.zeros(shape, int)
    for piece in cut(shape, number, multiple):
        assert piece.rows.start % multiple == piece.columns.start % multiple == 0
        assert seen[piece.rows, piece.columns].size > 0
        seen[piece.rows, piece.columns] += 1
    assert (seen == 1).all()


def test_about_as_many_pieces_as_asked_for():
    assert len(cut((400, 600), 1)) == 1
    assert len(cut((400, 600), 6)) == 6
    assert len(cut((1000, 10), 5)) == 5


def test_a_piece_grows_as_far_as_the_image():
    grown = Piece(slice(16, 32), slice(0, 16)).grown(20, (40, 30, 3))
    assert grown == Piece(slice(0, 40), slice(0, 30))
    assert Piece(slice(16, 32), slice(0, 16)).within(grown) == Piece(slice(16, 32), slice(0, 16))
    assert Piece(slice(16, 37), slice(0, 16)).at(8) == (slice(2, 4), slice(0, 2))
