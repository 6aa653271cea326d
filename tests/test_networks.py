"""Both networks from pixels to taps and back: shapes, names, gradients, sizes."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from nst_np import gradcheck
from nst_np.backend import make_backend
from nst_np.errors import InputError
from nst_np.losses import StyleLoss
from nst_np.network import ALL, InOrder
from nst_np.objective import Objective
from nst_np.vgg import VGG
from nst_np.wavelet import bank_factors, opponent_matrix, scales_of
from tests.cases import NETWORKS, OTHER_VGG, VGG_TAPS, image, network, scalar, weights


@pytest.mark.parametrize("shape", [(20, 20), (37, 53), (22, 61)])
@pytest.mark.parametrize(("name", "pooling", "taps"), NETWORKS)
def test_gradient_by_the_pixels(name, pooling, taps, shape):
    # Features are piecewise linear in the pixels. At the default step of 1e-3, spread over all pixels, none of these
    # images has a feature that crosses a kink; at 1e-2 some do, and the error is 1e-4.
    f = scalar(network(name, pooling=pooling), taps, shape)
    assert gradcheck.check_scalar(f, image(*shape)) <= 1e-7


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "readable"])
def test_gradient_with_another_pooling_and_padding(fast):
    net = network("vgg19", backend=make_backend("cpu", "float64", fast=fast), **OTHER_VGG)
    assert gradcheck.check_scalar(scalar(net, VGG_TAPS, (21, 26)), image(21, 26)) <= 1e-7


def test_replicate_padding_is_an_image_continued_by_its_edge_pixels():
    x = image(17, 22)
    zeros, replicate = network("vgg19"), network("vgg19", padding="replicate")
    wide = zeros.features(np.pad(x, ((1, 1), (1, 1), (0, 0)), mode="edge"), ["conv1_1"])["conv1_1"]
    np.testing.assert_allclose(replicate.features(x, ["conv1_1"])["conv1_1"], wide[1:-1, 1:-1], rtol=1e-12, atol=1e-9)
    taps = ["conv1_1", "relu1_2"]
    for layer, F in zeros.features(x, taps).items():  # only edges change
        there = replicate.features(x, taps)[layer]
        np.testing.assert_allclose(there[3:-3, 3:-3], F[3:-3, 3:-3], rtol=1e-9)
        assert np.abs(there - F)[0].max() > 1


def test_rescaled_pooling():
    x = image(17, 22)
    for pooling in ("average", "max", "l2"):
        plain, doubled = (network("vgg19", pooling=pooling, pooling_scale=scale) for scale in (1.0, 2.0))
        np.testing.assert_allclose(doubled.features(x, ["pool1"])["pool1"], 2 * plain.features(x, ["pool1"])["pool1"])


@pytest.mark.parametrize(("name", "pooling", "taps"), NETWORKS)
def test_planted_error_in_one_tap_is_caught(name, pooling, taps):
    net = network(name, pooling=pooling)
    f = scalar(net, taps, (20, 23))

    def wrong(x):
        value, gradient = f(x)
        _, backward = net.forward(x, [taps[0]])
        one_tap = backward({taps[0]: np.ones_like(net.features(x, [taps[0]])[taps[0]])})
        one_tap *= np.linalg.norm(gradient) / np.linalg.norm(one_tap)
        return value, gradient + 0.001 * one_tap

    with pytest.raises(gradcheck.GradientError):
        gradcheck.check_scalar(wrong, image(20, 23))


@pytest.mark.parametrize(("name", "pooling", "taps"), NETWORKS)
def test_gradients_of_several_taps_add_up(name, pooling, taps):
    net, x = network(name, pooling=pooling), image(24, 31)
    features, backward = net.forward(x, taps)
    cotangents = {tap: np.cos(F) for tap, F in features.items()}
    together = backward(cotangents)
    apart = sum(net.forward(x, [tap])[1]({tap: cotangents[tap]}) for tap in taps)
    np.testing.assert_allclose(together, apart, atol=1e-12 * np.abs(apart).max())


@pytest.mark.parametrize("shape", [(16, 16), (17, 31), (37, 53), (16, 101)])
def test_vgg_shapes(shape):
    names = [name for name in network("vgg16").layers if name != "pool5"]
    features = network("vgg16").features(image(*shape), names)
    assert list(features) == names
    for name, F in features.items():
        block = int(name[4])
        halvings = block if name.startswith("pool") else block - 1
        assert F.shape == (shape[0] >> halvings, shape[1] >> halvings, (64, 128, 256, 512, 512)[block - 1])


def test_layer_names():
    assert network("vgg16").layers[-6:] == ("relu5_1", "conv5_2", "relu5_2", "conv5_3", "relu5_3", "pool5")
    assert network("vgg19").layers[:6] == ("conv1_1", "relu1_1", "conv1_2", "relu1_2", "pool1", "conv2_1")
    assert len(network("vgg16").layers) == 2 * 13 + 5
    assert len(network("vgg19").layers) == 2 * 16 + 5


def test_forward_stops_at_the_deepest_tap():
    net = network("vgg19")
    used = []
    steps = net._steps
    net._steps = lambda taps: [used.append(step) or step for step in steps(taps)]
    net.features(image(16, 16), ["relu1_1", "conv2_1"])
    assert [name for name, _ in used] == ["relu1_1", "pool1", "conv2_1"]


def test_a_network_that_is_no_deeper_than_it_need_be():
    whole, short = network("vgg19"), VGG(weights(), make_backend("cpu", "float64"), taps=["relu2_1", "pool1"])
    assert short.layers == whole.layers[: whole.layers.index("relu2_1") + 1]
    assert list(short._kernels) == ["conv1_1", "conv1_2", "conv2_1"]
    taps = ["relu2_1", "conv1_2"]
    features, expected = (net.features(image(20, 20), taps) for net in (short, whole))
    for tap in taps:
        np.testing.assert_array_equal(features[tap], expected[tap])
    assert (short.describe(), short.checksum) == (whole.describe(), whole.checksum)
    assert VGG(weights(), make_backend("cpu", "float64"), taps=[]).layers == ()
    with pytest.raises(InputError, match="^vgg19 has no layer 'relu6_1'; valid: conv1_1, .*, pool5$"):
        VGG(weights(), make_backend("cpu", "float64"), taps=["relu1_1", "relu6_1"])


@pytest.mark.parametrize("pooling", ["average", "max"])
@pytest.mark.parametrize("tapped", [["relu2_1"], ["conv1_1", "relu1_2", "pool1", "conv2_1", "relu2_1"]])
def test_no_step_hides_a_tapped_layer(tapped, pooling):
    net = network("vgg19", pooling=pooling)
    names = net.layers[: net.layers.index("relu2_1") + 1]
    steps = [name for name, _ in net._steps(frozenset(tapped))]
    assert set(tapped) <= set(steps)
    assert steps == [name for name in names if name in steps]
    readable = VGG(weights(), make_backend("cpu", "float64", fast=False), pooling=pooling)
    assert [name for name, _ in readable._steps(frozenset(tapped))] == list(names)


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "readable"])
@pytest.mark.parametrize(("name", "tap"), [("vgg19", "relu2_1"), ("wavelet", "scale2")])
def test_what_the_forward_pass_kept_is_dropped_on_the_way_back(name, tap, fast):
    import tracemalloc

    net = network(name, backend=make_backend("cpu", "float64", threads=1, fast=fast))

    def held():
        return tracemalloc.get_traced_memory()[0]

    def there_and_back():
        features, backward = net.forward(image(64, 64), [tap])
        gradient = np.ones_like(features.pop(tap))
        before = held()
        dx = backward({tap: gradient})
        return before - held() + dx.nbytes, backward  # what the way back dropped, while it itself is kept

    tracemalloc.start()
    try:
        there_and_back()
        dropped, _ = there_and_back()
    finally:
        tracemalloc.stop()
    assert dropped > 64 * 64 * 8  # signs, of 64 channels and more at a bit an element


def test_vgg_preprocesses_as_its_weights_demand():
    w = weights()
    x = image(16, 16)
    plain = network("vgg19").features(x, ["conv1_1"])["conv1_1"]
    swapped = dataclasses.replace(
        w, color_order="BGR", mean=w.mean[::-1],
        kernels={**w.kernels, "conv1_1": w.kernels["conv1_1"][:, :, ::-1]})
    bgr = VGG(swapped, make_backend("cpu", "float64")).features(x, ["conv1_1"])["conv1_1"]
    np.testing.assert_allclose(bgr, plain, atol=1e-9)
    scaled = dataclasses.replace(
        w, scale=(1 / 255,) * 3, kernels={**w.kernels, "conv1_1": w.kernels["conv1_1"] * np.float32(256)})
    other = VGG(scaled, make_backend("cpu", "float64")).features(x, ["conv1_1"])["conv1_1"]
    np.testing.assert_allclose(other, plain * 256 / 255, atol=1e-9)


@pytest.mark.parametrize(("name", "tap", "message"), [
    ("vgg16", "conv5_4", "vgg16 has no layer 'conv5_4'; valid: conv1_1, relu1_1, .*pool5"),
    ("vgg19", "scale1", "vgg19 has no layer 'scale1'; valid: conv1_1"),
    ("wavelet", "relu1_1", "wavelet has no layer 'relu1_1'; valid: scale1, scale2"),
])
def test_unknown_taps_are_refused(name, tap, message):
    with pytest.raises(InputError, match=message):
        network(name).features(image(64, 64), [tap])


@pytest.mark.parametrize(("name", "shape", "tap", "message"), [
    ("vgg19", (9, 12), "conv5_1", "image is 12×9; conv5_1 needs at least 16×16"),
    ("vgg19", (15, 99), "conv1_1", "image is 99×15; conv1_1 needs at least 16×16"),
    ("vgg19", (31, 99), "pool5", "image is 99×31; pool5 needs at least 32×32"),
    ("wavelet", (4, 99), "scale1", "image is 99×4; scale1 needs at least 5×5"),
    ("wavelet", (39, 99), "scale4", "image is 99×39; scale4 needs at least 40×40"),
])
def test_small_images_are_refused(name, shape, tap, message):
    with pytest.raises(InputError, match=message):
        network(name).features(image(*shape), [tap])


@pytest.mark.parametrize("bad", [np.zeros((20, 20)), np.zeros((20, 20, 4)), [[1, 2, 3]], None])
def test_other_shapes_are_refused(bad):
    with pytest.raises(InputError, match="must be an array of shape"):
        network("wavelet").features(bad, ["scale1"])


def test_a_gradient_for_a_layer_that_was_not_tapped_is_refused():
    features, backward = network("wavelet").forward(image(32, 32), ["scale1"])
    with pytest.raises(InputError, match="'scale2'"):
        backward({"scale2": features["scale1"]})


@pytest.mark.parametrize("name, tap", [("vgg19", "relu1_1"), ("vgg19", "pool2"), ("wavelet", "scale2")])
def test_gradients_of_other_shapes_are_refused_and_the_way_back_stays(name, tap):
    features, backward = network(name).forward(image(32, 40), [tap])
    F = features[tap]
    for bad in (F[:-1], F[..., :-1], F[..., 0], F.ravel(), F[np.newaxis], np.float32(1), 1.0, F.tolist(), F.T):
        with pytest.raises(InputError, match=rf"the gradient of {tap} must be an array of shape .*, not "):
            backward({tap: bad})
    assert backward({tap: F}).shape == (32, 40, 3)


@pytest.mark.parametrize("name, tap", [("vgg19", "relu1_1"), ("vgg19", "relu3_1"), ("wavelet", "scale2")])
@pytest.mark.parametrize("gradients", [{}, None])
def test_the_way_back_is_gone_once(name, tap, gradients):
    net = network(name)
    features, backward = net.forward(image(32, 40), [tap])
    backward(features if gradients is None else gradients)
    with pytest.raises(InputError, match=r"^backward can be called once, .*; go forward again$"):
        backward(features)
    loss = StyleLoss(np.zeros((features[tap].shape[2],) * 2))
    statistics, backward = net.measure(image(32, 40), {tap: [loss]})
    d_statistics = {tap: [loss.value_and_grad(net.backend, statistics[tap][0])[1]]}
    backward(d_statistics)
    with pytest.raises(InputError, match="^backward can be called once"):
        backward(d_statistics)


@pytest.mark.parametrize("name", ["vgg19", "wavelet"])
def test_no_gradient_is_zero(name):
    tap = "relu1_1" if name == "vgg19" else "scale2"
    _, backward = network(name).forward(image(20, 24), [tap])
    dx = backward({})
    assert dx.shape == (20, 24, 3)
    assert not dx.any()


@pytest.mark.parametrize("name", ["vgg19", "wavelet"])
def test_dtype_of_the_network_is_that_of_all_it_returns(name):
    for dtype in ("float32", "float64"):
        net = network(name, dtype)
        tap = "relu2_1" if name == "vgg19" else "scale2"
        for x in (image(20, 24), image(20, 24).astype(np.uint8)):
            features, backward = net.forward(x, [tap])
            assert features[tap].dtype == dtype
            assert backward({tap: features[tap]}).dtype == dtype


# --- the wavelet bank -------------------------------------------------------------------------------------------------


def bank_filters():
    rows, columns, mix = bank_factors()
    return np.einsum("bj,bi,bq->qji", columns, rows, mix)


def test_wavelets_are_gabor_filters_without_response_to_a_constant():
    filters = bank_filters()
    y, x = np.mgrid[-4:5, -4:5]
    for band, (frequency, sigma) in enumerate([(0.6 * np.pi, 9 / 7), (0.3 * np.pi, 2.0)]):
        g = np.exp(-(x**2 + y**2) / (2 * sigma**2))
        for o in range(8):
            angle = np.pi * o / 8
            psi = g * np.exp(1j * frequency * (x * np.cos(angle) + y * np.sin(angle)))
            psi -= g * psi.sum() / g.sum()
            psi /= np.sqrt((np.abs(psi) ** 2).sum() / 2)
            np.testing.assert_allclose(filters[8 * band + o], psi, atol=1e-13)
    np.testing.assert_allclose(filters[:16].sum(axis=(1, 2)), 0, atol=1e-13)
    assert filters[16].sum() == pytest.approx(3)
    assert not filters[16].imag.any()


def test_opponent_colours():
    matrix = opponent_matrix()
    np.testing.assert_allclose(np.linalg.norm(matrix, axis=0), [1, 1.5, 1.5])
    np.testing.assert_allclose([1, 1, 1] @ matrix, [np.sqrt(3), 0, 0], atol=1e-15)


def test_a_grating_excites_the_wavelet_of_its_orientation_and_frequency():
    x = np.arange(64) * 0.3 * np.pi
    grating = 118 + 60 * np.cos(x)[None, :, None] * np.ones((64, 1, 3))
    F = network("wavelet").features(grating, ["scale1"])["scale1"].reshape(64, 64, 3, 66)
    energy = F[20:44, 20:44, 0].mean((0, 1))
    real = energy[:16] + energy[33:49]
    assert real.argmax() == 8  # band 2, orientation 0


@pytest.mark.parametrize(("shape", "scales"), [((288, 288), 5), ((511, 400), 5), ((576, 400), 6), ((64, 64), 3),
                                                ((16, 16), 2), ((5, 999), 1), ((512, 40), 4)])
def test_number_of_scales(shape, scales):
    assert scales_of(*shape) == scales
    net = network("wavelet")
    content, style = net.default_layers(shape)
    assert len(style) == scales
    assert sum(style.values()) == pytest.approx(1)
    assert set(content) <= set(style)
    assert net.minimum_size(style) <= min(shape)


def test_default_layers_suit_the_smaller_of_two_images():
    content, style = network("wavelet").default_layers((600, 600), (100, 70))
    assert len(style) == scales_of(100, 70)
    assert set(content) <= set(style)


# --- looking at features in parts -------------------------------------------------------------------------------------

SCANS = [("vgg19", ["relu1_1", "relu2_1"]), ("vgg19", ["conv1_1"]), ("vgg19", ["relu1_2", "pool2"]),
         ("vgg19", ["conv1_1", "relu1_1", "conv2_1"]), ("vgg19", ["relu1_1", "conv1_2", "relu2_1"]),
         ("vgg19", ["relu2_1"]), ("vgg19", ["relu1_1", "pool1"]),
         ("wavelet", ["scale1", "scale3"]), ("wavelet", ["scale2"])]  # fmt: skip


@pytest.fixture
def small_bands(monkeypatch):
    """Bands of as few rows as there can be."""
    monkeypatch.setattr("nst_np.wavelet.BAND_BYTES", 0)
    monkeypatch.setattr("nst_np.vgg.FirstBlock.BAND_BYTES", 0)
    monkeypatch.setattr("nst_np.vgg.FirstBlock.LEAST_BAND", 4)


@pytest.mark.usefixtures("small_bands")
@pytest.mark.parametrize("fast", [True, False], ids=["fast", "readable"])
@pytest.mark.parametrize("options", [{"pooling": "average"}, {"pooling": "max"}, OTHER_VGG], ids=str)
def test_bands_end_where_an_image_ends(options, fast):
    """Heights with every remainder, so that the last band has up to half a band more than the others."""
    net = network("vgg19", **options, backend=make_backend("cpu", "float64", fast=fast))
    for height in (16, 17, 18, 19):
        assert_bands_are_the_whole(net, ["relu1_1", "relu2_1"], image(height, 18))


@pytest.mark.usefixtures("small_bands")
@pytest.mark.parametrize("shape", [(37, 53), (20, 21), (64, 40)])
@pytest.mark.parametrize(("name", "taps"), SCANS)
def test_bands_are_the_whole(name, taps, shape):
    assert_bands_are_the_whole(network(name), taps, image(*shape))


def climb(net, x, taps, look):
    """The way up in bands, as `measure` and `features` go it."""
    return net._climb(*net._checked(x, taps), look, whole=False)


def assert_bands_are_the_whole(net, taps, x):
    """It shows each row of each layer once, pulls each back once, and the gradient is the same."""
    features, backward = net.forward(x, taps)
    weights = {layer: np.cos(F) for layer, F in features.items()}
    expected = backward({layer: weights[layer] * F for layer, F in features.items()})
    shown = {layer: np.full(F.shape, np.nan) for layer, F in features.items()}
    pulled = {layer: np.zeros(F.shape[0]) for layer, F in features.items()}

    def look(layer, rows, F):
        assert np.isnan(shown[layer][rows]).all()
        shown[layer][rows] = F

    def pull_back(layer, rows, F, dF):
        np.testing.assert_allclose(F, shown[layer][rows], atol=1e-9 * np.abs(F).max())
        pulled[layer][rows] += 1
        gradient = weights[layer][rows] * F
        return gradient if dF is None else dF + gradient

    pull_all = climb(net, x, taps, look)
    for layer, F in features.items():
        np.testing.assert_allclose(shown[layer], F, atol=1e-9 * np.abs(F).max())
    gradient = pull_all(pull_back)
    assert all((times == 1).all() for times in pulled.values())
    np.testing.assert_allclose(gradient, expected, atol=1e-10 * np.abs(expected).max())


@pytest.mark.usefixtures("small_bands")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "taps"), SCANS)
def test_features_are_the_same_bits_as_what_is_measured(name, taps, dtype):
    """On every processor: a matrix product of another shape may be rounded otherwise."""
    net, x, shown = network(name, dtype), image(45, 37), {tap: {} for tap in taps}
    climb(net, x, taps, lambda layer, rows, F: shown[layer].update({rows.start or 0: F}))
    features = net.features(x, taps)
    assert sorted(features, key=net.layers.index) == list(features) == sorted(taps, key=net.layers.index)
    for layer, parts in shown.items():
        np.testing.assert_array_equal(features[layer], np.concatenate([parts[start] for start in sorted(parts)]))


@pytest.mark.parametrize(("name", "taps"), [("vgg19", ["relu1_1"]), ("wavelet", ["scale1"])])
def test_what_is_shown_in_bands_is_never_whole(name, taps, monkeypatch):
    import tracemalloc

    monkeypatch.setattr("nst_np.vgg.FirstBlock.BAND_BYTES", 0)
    monkeypatch.setattr("nst_np.vgg.FirstBlock.LEAST_BAND", 8)
    net, x, shown = network(name, backend=make_backend("cpu", "float32", threads=1)), image(160, 120), []
    climb(net, x, taps, lambda layer, rows, F: shown.append(F.nbytes))
    tracemalloc.start()
    try:
        climb(net, x, taps, lambda layer, rows, F: None)
        assert tracemalloc.get_traced_memory()[1] < 0.5 * sum(shown)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["vgg19", "wavelet"])
def test_an_objective_in_bands_is_the_objective(name, monkeypatch):
    monkeypatch.setattr("nst_np.vgg.FirstBlock.LEAST_BAND", 8)
    content, style, x = image(45, 37, 1), image(40, 50, 2), image(45, 37, 3)
    results = []
    for band_bytes in (10**9, 0):
        monkeypatch.setattr("nst_np.wavelet.BAND_BYTES", band_bytes)
        monkeypatch.setattr("nst_np.vgg.FirstBlock.BAND_BYTES", band_bytes)
        objective = Objective(network(name), content=content, style=style, tv_weight=1e-4, normalization="relative",
                              center_content=True, content_layers={("relu1_1" if name == "vgg19" else "scale1"): 1.0})
        results.append(objective.evaluate(x))
    whole, bands = results
    assert bands.value == pytest.approx(whole.value, rel=1e-12)
    assert bands.terms == pytest.approx(whole.terms, rel=1e-12)
    np.testing.assert_allclose(bands.gradient, whole.gradient, atol=1e-11 * np.abs(whole.gradient).max())


@pytest.mark.usefixtures("small_bands")
@pytest.mark.parametrize("name", ["vgg19", "wavelet"])
def test_an_objective_gives_the_same_bits_on_any_number_of_threads(name):
    results = []
    for threads in (1, 2, 3):
        backend = make_backend("cpu", "float32", threads=threads)
        objective = Objective(network(name, backend=backend), content=image(45, 37, 1), style=image(40, 50, 2),
                              tv_weight=1e-4, normalization="relative", center_content=True)
        results.append(objective.evaluate(image(45, 37, 3)))
    for other in results[1:]:
        assert other.terms == results[0].terms
        np.testing.assert_array_equal(other.gradient, results[0].gradient)


class Handed(InOrder):
    def __init__(self):
        super().__init__()
        self.used = []

    def use(self, rows, made):
        self.used.append((rows, made))


def test_what_comes_in_any_order_is_used_in_the_order_of_its_rows():
    rows = [slice(start, start + 3) for start in range(0, 12, 3)]
    for order in itertools.permutations(rows):
        handed = Handed()
        for part in order:
            handed.add(part, f"from {part.start}")
        assert handed.used == [(part, f"from {part.start}") for part in rows]


def test_all_rows_at_once_are_used():
    handed = Handed()
    handed.add(ALL, 1)
    assert handed.used == [(ALL, 1)]
