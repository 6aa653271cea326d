"""What runs on a GPU gives what it gives on a CPU.

Where there is no GPU, an array module that refuses NumPy arrays stands in for CuPy: see `tests.strict`.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import nst_np
from nst_np import layers, losses
from nst_np.backend import Backend, make_backend
from nst_np.descent import Descent
from nst_np.engine import ON_GPU, make_engine, readable_engine
from nst_np.errors import DeviceError
from nst_np.forecast import memory
from nst_np.layers import LAYERS
from nst_np.objective import Objective
from nst_np.optimize import METHODS, Minimization
from nst_np.run import Steps
from nst_np.terms import loss_examples
from nst_np.transfer import follow
from tests.cases import OTHER_VGG, image, network, single
from tests.conftest import HAS_GPU
from tests.cuda_on_cpu import COMPILER
from tests.strict import StrictModule

CPU = make_backend("cpu", "float64")
DEVICES = [
    pytest.param("strict", marks=pytest.mark.skipif(COMPILER is None, reason="no C++ compiler for the GPU's kernels")),
    pytest.param("gpu", marks=pytest.mark.gpu),
]
NETWORKS = [("vgg19", "average"), ("vgg19", "max"), ("wavelet", "average")]
CASES = [(name, False) for name in sorted(LAYERS)] + [(function.__name__, True) for function in ON_GPU]
SEEDS = range(3)


def backend_on(device, dtype="float64", fast=True):
    if device == "gpu":
        return make_backend("gpu", dtype, fast=fast)
    xp = StrictModule()
    return Backend(xp, "gpu:0", np.dtype(dtype), make_engine(xp, 2) if fast else readable_engine())


def on(backend, argument):
    """A layer's argument, on a device."""
    if isinstance(argument, layers.WaveletBank):
        factors = (getattr(argument, field.name) for field in dataclasses.fields(argument))
        return layers.WaveletBank(*map(backend.xp.asarray, factors))
    return backend.xp.asarray(argument) if isinstance(argument, np.ndarray) else argument


@pytest.fixture
def small_parts(monkeypatch):
    """Bands and strips of a few rows, so that even these images have many."""
    monkeypatch.setattr("nst_np.network.GPU_BAND_BYTES", 0)
    monkeypatch.setattr("nst_np.vgg.FirstBlock.LEAST_BAND", 8)
    monkeypatch.setattr("nst_np.engine.strips.DEVICE_FACTOR", 0)


@pytest.mark.parametrize(("shape", "dtype", "tolerance"), [((37, 53), "float64", 1e-12), ((9, 10), "float32", 1e-5)])
@pytest.mark.parametrize(("name", "fast"), CASES)
@pytest.mark.parametrize("device", DEVICES)
def test_layers(device, name, fast, shape, dtype, tolerance, small_parts):
    backend = backend_on(device, dtype, fast=fast)
    readable = LAYERS[name].function
    layer = backend.engine.layers[name] if fast else readable
    x, arguments = LAYERS[name].example(np, np.random.default_rng(0), *shape)
    y, backward = readable(np, x, *arguments)
    given = arguments if dtype == "float64" else [single(argument) for argument in arguments]
    its_y, its_backward = layer(backend.xp, backend.asarray(x), *(on(backend, argument) for argument in given))
    dy = np.random.default_rng(1).standard_normal(y.shape)
    for expected, array in ((y, its_y), (backward(dy), its_backward(backend.asarray(dy)))):
        assert array.dtype == dtype
        np.testing.assert_allclose(backend.to_host(array), expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize(("shape", "fast"), [((1, 2), False), ((37, 53), True)])
@pytest.mark.parametrize("name", sorted(loss_examples()))
@pytest.mark.parametrize("device", DEVICES)
def test_losses(device, name, shape, fast, small_parts):
    rng = np.random.default_rng(0)
    F, T = rng.standard_normal((*shape, 7)) + 0.5, rng.standard_normal((*shape, 7))
    results = []
    for backend in (backend_on(device, fast=fast), CPU):
        loss = loss_examples()[name](backend, backend.asarray(T))
        value, gradient = losses.value_and_grad(backend, loss, backend.asarray(F))
        results.append((value, backend.to_host(gradient)))
    (value, gradient), (expected, expected_gradient) = results
    assert type(value) is float
    # Rounding comes out of the root of a covariance without full rank 1 / RIDGE times as large.
    assert value == pytest.approx(expected, rel=1e-11)
    tolerance = 1e-15 + 1e-11 * np.abs(expected_gradient).max()  # two places alone are as alike as any
    np.testing.assert_allclose(gradient, expected_gradient, rtol=0, atol=tolerance)


def evaluations(backends, name, pooling="average", *, size=(20, 23), seed=3, options=None, **settings):
    """Terms and gradient of one objective on each of the backends."""
    results = []
    for backend in backends:
        options = {"pooling": pooling} if options is None else options
        objective = Objective(network(name, backend=backend, **options), content=image(*size, 1),
                              **{"style": image(25, 21, 2), **settings})
        evaluation = objective.evaluate(image(*size, seed))
        results.append((evaluation.terms, backend.to_host(evaluation.gradient)))
    return results


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("device", DEVICES)
def test_another_pooling_padding_and_total_variation(device, fast, small_parts):
    (terms, gradient), (expected, expected_gradient) = evaluations(
        (backend_on(device, fast=fast), CPU), "vgg19", options=OTHER_VGG, content_layers={"relu2_2": 1.0},
        style_layers={"relu1_1": 1.0}, tv_weight=10.0, tv_normalization="nine-point")
    assert terms == pytest.approx(expected, rel=1e-10)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=0, atol=1e-10 * np.abs(expected_gradient).max())


@pytest.mark.parametrize("kind", ["gram", "wasserstein", "remd", "nearest"])
@pytest.mark.parametrize("device", DEVICES)
def test_regions(device, kind, small_parts):
    guides, style_guides = (np.linspace(0, 1, 2 * height * width).reshape(height, width, 2)
                            for height, width in ((20, 23), (25, 21)))
    (terms, gradient), (expected, expected_gradient) = evaluations(
        (backend_on(device), CPU), "vgg19", content_layers={"relu2_2": 1.0}, style_layers={"relu1_1": 1.0},
        style_loss={kind: 1.0}, content_guides=guides, style_guides=[style_guides], inside=True,
        strength=guides[..., 0], normalization="relative")
    assert terms == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=0, atol=1e-9 * np.abs(expected_gradient).max())


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(("name", "pooling"), NETWORKS)
@pytest.mark.parametrize("extra", [
    {"style": image(25, 21, 2), "normalization": "published"},
    {"style": [image(25, 21, 2), image(22, 24, 4)], "style_blend": (3, 1), "normalization": "relative",
     "repeats": True},
    {"style": [image(25, 21, 2), image(22, 24, 4)], "blend_by": "losses", "normalization": "mean"},
])
@pytest.mark.parametrize("device", DEVICES)
def test_objectives(device, name, pooling, fast, extra, small_parts):
    kinds = {"vgg19": ({"relu2_2": 1.0}, {"relu1_1": 0.5, "conv2_1": 0.5}),
             "wavelet": ({"scale2": 1.0}, {"scale1": 0.5, "scale2": 0.5})}
    content_layers, style_layers = kinds[name]
    (terms, gradient), (expected, expected_gradient) = evaluations(
        (backend_on(device, fast=fast), CPU), name, pooling, content_layers=content_layers, style_layers=style_layers,
        tv_weight=0.1, center_content=True, **extra)
    assert terms == pytest.approx(expected, rel=1e-10)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=0, atol=1e-10 * np.abs(expected_gradient).max())


@pytest.mark.parametrize(("name", "pooling"), NETWORKS)
@pytest.mark.parametrize("device", DEVICES)
def test_default_layers_in_single_precision(device, name, pooling):
    """The median of several images: in one, rounding may move a feature over the kink of a rectifier."""
    if device == "strict" and pooling == "max":
        pytest.skip("as on a GPU, but for the pooling, which is tested above; kernels on a CPU take their time")
    errors = []
    for seed in SEEDS:
        (terms, gradient), (expected, expected_gradient) = evaluations(
            (backend_on(device, "float32"), CPU), name, pooling, size=(37, 53), seed=seed, tv_weight=0.1,
            normalization="relative", center_content=True)
        assert gradient.dtype == np.float32
        assert terms == pytest.approx(expected, rel=1e-4)
        errors.append(np.abs(gradient - expected_gradient).max() / np.abs(expected_gradient).max())
    assert np.median(errors) <= 1e-4


@pytest.mark.parametrize("device", DEVICES)
def test_features_and_gradients_stay_on_the_device(device):
    backend = backend_on(device)
    net = network("wavelet", backend=backend)
    features, backward = net.forward(image(20, 23), ["scale1"])
    gradient = backward(features)
    kind = type(backend.asarray(np.zeros(1)))
    assert kind is not np.ndarray
    assert type(features["scale1"]) is type(gradient) is kind
    np.testing.assert_array_equal(backend.to_host(backend.asarray(image(3, 4))), image(3, 4))


def test_evaluations_are_on_the_network_s_own_gpu():
    backend = dataclasses.replace(backend_on("strict"), device="gpu:1")
    objective = Objective(network("wavelet", backend=backend), content=image(20, 23), style=image(20, 23, 1))
    backend.xp.current_device = 0  # as it is in another thread, or after work on another GPU
    objective.evaluate(image(20, 23, 2))
    assert backend.xp.current_device == 1


@pytest.mark.gpu
def test_threads_use_the_network_s_own_gpu():
    try:
        net = nst_np.load_network("wavelet", device="gpu:1")
    except DeviceError:
        pytest.skip("one GPU only")
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        features = thread.submit(net.features, image(20, 23), ["scale1"]).result()
    assert features["scale1"].device.id == 1


def test_the_strict_module_does_refuse():
    xp = StrictModule()
    device = xp.asarray([1.0, 2.0])
    for mix in (lambda: device + np.ones(2), lambda: np.ones(2) + device, lambda: device * np.float64(2),
                lambda: np.asarray(device), lambda: xp.maximum(device, np.ones(2)), lambda: xp.asarray(1.0).nonsense,
                lambda: xp.matmul(device, device, xp.zeros(()))):
        with pytest.raises((TypeError, AttributeError)):
            mix()
    assert float((device * 2).sum()) == 6


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("method", sorted({*METHODS} - {"lbfgs"}))
@pytest.mark.parametrize("device", DEVICES)
def test_optimisers_stay_on_the_device(device, method, dtype):
    def best(xp, array, bounds, average):
        curvature = array(np.linspace(1, 10, 20))
        run = Minimization(lambda x: (0.5 * float((curvature * x * x).sum()), curvature * x), array(np.full(20, 50.0)),
                           xp=xp, method=method, iterations=9, learning_rate=1.0, bounds=bounds, average=average)
        assert all(type(iterate.x) is type(curvature) and iterate.x.dtype == dtype for iterate in run)
        return run.best

    ways = [(None, None), (None, 0.5)] + [((40.0, 60.0), None)] * (method != "lbfgs-own")
    for bounds, average in ways:
        expected, backend = best(np, lambda values: values.astype(dtype), bounds, average), backend_on(device, dtype)
        ours = best(backend.xp, backend.asarray, bounds, average)
        assert ours.value == pytest.approx(expected.value, rel=1e-4 if dtype == "float32" else 1e-10)
        np.testing.assert_allclose(backend.to_host(ours.x), expected.x, rtol=0, atol=1e-2)


@pytest.mark.parametrize(("optimizer", "bounds", "on_gpu", "on_cpu"), [
    ("lbfgs", False, "lbfgs-own", "lbfgs"), ("lbfgs", True, "lbfgs", "lbfgs"), ("lbfgs-own", False, *["lbfgs-own"] * 2),
    ("adam", True, "adam", "adam"),
])
def test_where_vectors_are(optimizer, bounds, on_gpu, on_cpu):
    config = nst_np.Config(optimizer=optimizer, bounds=bounds)
    picture, float32 = np.ones((2, 3, 3)), {"strict": backend_on("strict", "float32"), "cpu": make_backend("cpu")}
    for device, method in (("strict", on_gpu), ("cpu", on_cpu)):
        descent = Descent(config, float32[device], picture.shape)
        vector = descent.start(float32[device].asarray(picture))
        assert descent.method == method
        assert (type(vector) is np.ndarray) == (device == "cpu" or method == "lbfgs")
        assert vector.shape == (18,)
        assert vector.dtype == ("float32" if method == "lbfgs-own" or type(vector) is not np.ndarray else "float64")


@pytest.mark.parametrize("device", DEVICES)
def test_variables_and_moments_stay_on_the_device(device):
    backend, x = backend_on(device), image(21, 26)
    for parametrization in ("pixels", "laplacian"):
        config = nst_np.Config(optimizer="adam", parametrization=parametrization, carry_moments=True)
        here, there = (Descent(config, one, x.shape) for one in (CPU, backend))
        x_there = backend.asarray(x)
        pairs = [(here.start(x), there.start(x_there)), (here.gradient(x), there.gradient(x_there))]
        pairs.append((here.image(pairs[1][0]), there.image(pairs[1][1])))
        if parametrization == "pixels":
            moments = {"m": image(9, 12).ravel(), "v": image(9, 12, 1).ravel(), "scale": 2.0, "steps": 7}
            on_device = {**moments, **{name: backend.asarray(moments[name]) for name in "mv"}}
            carried = [descent.carried(its, ((9, 12), 0), ((21, 26), 0))
                       for descent, its in ((here, moments), (there, on_device))]
            pairs += [(carried[0][name], carried[1][name]) for name in "mv"]
        for expected, ours in pairs:
            assert type(ours) is type(x_there)
            np.testing.assert_allclose(backend.to_host(ours), expected, rtol=1e-12, atol=1e-9)


# --- whole runs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"optimizer": "adam", "average": 0.5, "style_loss": {"palette": 1.0}}],
                         ids=str)
@pytest.mark.parametrize("device", DEVICES)
def test_a_run_on_a_device_goes_on_from_a_checkpoint(device, settings, photo, painting, tmp_path):
    net = network("wavelet", backend=backend_on(device, "float32"))
    run = nst_np.steps(photo[:24, :24], painting[:24, :24], network=net, iterations=5, **settings)
    for step in run:
        if step.iteration == 3:
            run.checkpoint().save(tmp_path / "c")
    again = nst_np.steps(photo[:24, :24], painting[:24, :24], network=net, resume=tmp_path / "c")
    assert [step.iteration for step in again] == [4, 5]
    np.testing.assert_allclose(again.result.pixels, run.result.pixels, rtol=0, atol=0.0 if device == "strict" else 0.1)


@pytest.mark.gpu
@pytest.mark.parametrize(("name", "weights"), [("wavelet", "auto"), ("vgg16", "random:0")])
def test_a_run_on_a_gpu_is_the_run_on_a_cpu(photo, painting, name, weights):
    """By the same method: on a CPU "lbfgs" is SciPy's. Rounding grows from step to step."""
    settings = {"network": name, "weights": weights, "size": 48, "iterations": 3, "dtype": "float64",
                "optimizer": "lbfgs-own"}
    results = [nst_np.stylize(photo, painting, device=device, **settings) for device in ("auto", "cpu")]
    assert [result.network.rpartition(" on ")[2] for result in results] == ["gpu:0", "cpu"]
    for ours, expected in zip(results[0].history, results[1].history, strict=True):
        assert ours["total"] == pytest.approx(expected["total"], rel=1e-4 if ours["iteration"] else 1e-10)
    difference = results[0].image.astype(int) - results[1].image
    assert results[0].image.dtype == np.uint8
    assert np.abs(difference).max() <= 1


@pytest.mark.gpu
def test_the_memory_of_a_gpu_is_watched_and_given_back():
    backend = make_backend("gpu", "float32")
    free = memory.free_bytes(backend)
    with memory.watch(backend) as watch:
        array = backend.xp.zeros((1 << 20, 4), dtype="float32")
        assert watch.held() == array.nbytes
        assert 0 <= watch.peak() - array.nbytes < 1 << 20  # blocks of its pool that are in pieces count whole
        del array
        assert watch.held() == 0
    assert memory.free_bytes(backend) >= free - (1 << 20)


@pytest.mark.gpu
def test_a_run_on_a_gpu_needs_about_the_memory_that_is_foretold(monkeypatch):
    monkeypatch.setattr(memory, "free_on_host", lambda: 1 << 50)  # so that the GPU's is foretold
    net = nst_np.load_network("wavelet", device="gpu")
    config = nst_np.Config(network="wavelet", iterations=1)
    photo, painting = image(240, 300, 1), image(300, 260, 2)
    pool = net.backend.xp.get_default_memory_pool()
    expected = Steps(config, photo, [painting], network=net).forecast().peak_bytes
    try:
        for share, fits in ((1.2, True), (0.4, False)):
            pool.free_all_blocks()
            pool.set_limit(size=int(pool.used_bytes() + share * expected))
            with contextlib.nullcontext() if fits else pytest.raises(MemoryError):
                follow(Steps(config, photo, [painting], network=net))
    finally:
        pool.set_limit(size=0)


# --- devices that cannot be had ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["tpu", "gpu:x", "cpu:0", "", "gpu:-1"])
def test_unknown_devices_are_refused(device):
    with pytest.raises(DeviceError, match="device must be"):
        make_backend(device)


@pytest.mark.skipif(HAS_GPU, reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(DeviceError, match="gpu:0"):
        make_backend("gpu")


@pytest.fixture
def broken_cupy(monkeypatch):
    """CuPy on a machine with one GPU and a driver, but without the headers of CUDA."""

    def ones(shape):
        raise RuntimeError("Failed to find CUDA headers.\nSee the documentation.")

    cuda = SimpleNamespace(Device=lambda index: SimpleNamespace(use=lambda: None),
                           runtime=SimpleNamespace(getDeviceCount=lambda: 1))
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=cuda, ones=ones))
    monkeypatch.setattr("nst_np.backend._has_gpu", lambda: True)
    return "device 'gpu:0' cannot be used: Failed to find CUDA headers; install CuPy and what it needs of CUDA with: "


def test_a_gpu_that_cannot_compute_is_refused_in_one_line(broken_cupy):
    with pytest.raises(DeviceError) as raised:
        make_backend("gpu")
    assert str(raised.value).startswith(broken_cupy)
    assert "\n" not in str(raised.value)
    with pytest.raises(DeviceError, match="^device 'gpu:3' does not exist: this machine has 1 usable GPU"):
        make_backend("gpu:3")


def test_auto_says_why_a_gpu_is_not_used(broken_cupy):
    lines = []
    assert nst_np.load_network("wavelet", device="auto", say=lines.append).backend.device == "cpu"
    (line,) = lines
    assert line.startswith(broken_cupy)
    assert line.endswith("; using the CPU")


@pytest.mark.gpu
def test_a_gpu_of_too_high_a_number_is_refused():
    with pytest.raises(DeviceError, match=r"^device 'gpu:99' does not exist: this machine has \d+ usable GPU"):
        make_backend("gpu:99")
