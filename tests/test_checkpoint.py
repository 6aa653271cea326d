"""A run that was stopped at any step goes on to the same bits, from a file that is whole at any moment."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nst_np
from nst_np import checkpoint, files
from nst_np.checkpoint import Checkpoint, Keeper
from nst_np.cli import main
from nst_np.errors import InputError
from nst_np.optimize import METHODS, scipy_lbfgsb
from nst_np.wavelet import WaveletNetwork
from tests.cases import run_in_child

SIZES = {"smallest_size": 16, "coarse_to_fine": 2, "iterations": 4}  # 8 iterations, after the initial image
RUN = ["photo.png", "painting.png", "-o", "out.png", "--network", "wavelet", "--size", "48", "--smallest-size", "16",
       "--coarse-to-fine", "2", "--iterations", "4", "--history", "losses.csv"]
if not scipy_lbfgsb.keeps_its_state():
    RUN += ["--optimizer", "lbfgs-own"]
OFTEN = ["--checkpoint", "c", "--checkpoint-every", "1e-9"]


@pytest.fixture(scope="module")
def network():
    return nst_np.load_network("wavelet", threads=1)


def facts(result):
    """What of a result does not depend on how fast a run was."""
    history = [{name: value for name, value in row.items() if name != "seconds"} for row in result.history]
    assert all(one["seconds"] <= other["seconds"] for one, other in itertools.pairwise(result.history))
    return result.pixels.tobytes(), result.losses, history, result.settings, result.status, result.message, result.nfev


def ended(run):
    for _ in run:
        pass
    return facts(run.result)


def check_at(stops, tmp_path, photo, painting, **settings):
    """Of one run, checkpoints of some steps, and the end; from each of them the same end."""
    run = nst_np.steps(photo, painting, **settings)
    for index, _ in enumerate(run):
        if index in stops:
            run.checkpoint().save(tmp_path / f"{index}")
    expected = facts(run.result)
    assert index >= max(stops)
    images = {name: settings[name] for name in ("network", "keep") if name in settings}
    for stop in stops:
        again = nst_np.steps(photo, painting, resume=tmp_path / f"{stop}", **images)
        assert again.done == stop or not scipy_lbfgsb.keeps_its_state()
        assert ended(again) == expected


# --- to the same bits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", sorted(METHODS))
def test_from_six_steps_of_every_optimiser(optimizer, tmp_path, photo, painting, network):
    """At the beginning, at the end of a size, right after it, and at the end: 30 points in all."""
    check_at((0, 1, 3, 4, 5, 8), tmp_path, photo, painting, network=network, optimizer=optimizer, **SIZES)


VARIANTS = {
    "an average": {"average": 0.7, "optimizer": "adam"},
    "moments that are carried": {"carry_moments": True, "optimizer": "adam", "adam_beta2": 0.9},
    "bounds": {"bounds": True},
    "a Laplacian pyramid and noise": {"parametrization": "laplacian", "init": "noise", "seed": 3},
    "random places": {"style_loss": {"palette": 1.0}, "redraw": 3},
    "random places and an average": {"style_loss": {"remd": 1.0}, "redraw": 2, "optimizer": "adam", "average": 0.5},
    "random directions": {"style_loss": {"sliced": 1.0}, "optimizer": "rmsprop"},
    "matches with the picture": {"style_loss": {"patches": 1.0}, "redraw": 2, "optimizer": "lbfgs-own"},
    "a final pass": {"final_style_loss": {"nearest": 1.0}, "final_content_weight": 0.1, "coarse_to_fine": 1,
                     "final_parametrization": "laplacian"},
    "the photograph's colours": {"colors": "luminance"},
    "an end before the end": {"stop_after": 7},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_with_all_that_a_run_carries(name, tmp_path, photo, painting, network):
    check_at((2, 3, 6), tmp_path, photo, painting, network=network, **{**SIZES, **VARIANTS[name]})


def test_a_mask_in_memory(tmp_path, photo, painting, network):
    keep = np.zeros(photo.shape[:2], np.uint8)
    keep[:16] = 255
    check_at((2, 6), tmp_path, photo, painting, network=network, keep=keep, **SIZES)


@pytest.mark.parametrize("optimizer", sorted(METHODS))
def test_a_run_that_has_nothing_left_to_do(optimizer, tmp_path, photo, network):
    run = nst_np.steps(photo, None, network=network, optimizer=optimizer, tv_weight=0, coarse_to_fine=1)
    for _ in run:
        run.checkpoint().save(tmp_path / "c")
    assert (run.result.status, run.done) == ("converged", 0)
    assert ended(nst_np.steps(photo, resume=tmp_path / "c", network=network)) == facts(run.result)


def test_a_scipy_that_keeps_its_state_goes_on_from_the_beginning_of_a_size(tmp_path, photo, painting, network,
                                                                           monkeypatch):
    monkeypatch.setattr(scipy_lbfgsb, "keeps_its_state", lambda: False)
    run = nst_np.steps(photo, painting, network=network, **SIZES)
    for index, _ in enumerate(run):
        run.checkpoint().save(tmp_path / f"{index}")
    for stop, done in ((0, 0), (3, 0), (5, 4), (8, 4)):
        again = nst_np.steps(photo, painting, resume=tmp_path / f"{stop}", network=network)
        assert again.done == done
        assert ended(again) == facts(run.result)


# --- a process that is killed -----------------------------------------------------------------------------------------


def painted():
    """Pixels, settings and history of the picture of RUN."""
    with Image.open("out.png") as picture:
        pixels, text = picture.tobytes(), re.sub(r"; [\d.]+ s", "", str(picture.text))
    return pixels, text, re.sub(r"(?m)^(\d+),[\d.]+", r"\1,", Path("losses.csv").read_text())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and signals of POSIX")
def test_killed_at_30_operations_on_files(folder, monkeypatch):
    monkeypatch.setenv("NST_NP_THREADS", "1")  # threads do not go through a fork
    arguments = [*RUN, *OFTEN, "-q", "--size", "24", "--coarse-to-fine", "1", "--iterations", "8"]
    assert main(arguments) == 0
    expected = painted()
    assert not Path("c").exists()
    code, operations = run_in_child(folder, arguments)
    assert code == 0
    assert operations > 30
    resumed = 0
    for point in np.linspace(0, operations - 1, 30).astype(int):
        for name in ("out.png", "losses.csv", "c"):
            Path(name).unlink(missing_ok=True)
        assert run_in_child(folder, arguments, int(point)) == (-signal.SIGKILL, 0)
        if Path("c").exists():
            assert main(["--resume", "c", "-q"]) == 0
            assert painted() == expected, point
            resumed += 1
        assert not Path("c").exists()
    assert resumed > 20


def test_a_process_that_is_killed_while_it_paints(folder):
    long, code = ["--iterations", "40"], "import sys; from nst_np.cli import main; sys.exit(main(sys.argv[1:]))"
    environment = {**os.environ, "PYTHONPATH": str(Path(nst_np.__file__).parent.parent)}
    with subprocess.Popen([sys.executable, "-c", code, *RUN, *OFTEN, *long], stderr=subprocess.PIPE, text=True,
                          env=environment) as process:
        for line in process.stderr:
            if line.startswith("iteration"):
                process.kill()
                break
    assert process.returncode != 0
    assert not Path("out.png").exists()
    assert Checkpoint.load("c").done > 3
    assert main(["--resume", "c", "-q"]) == 0
    found = painted()
    assert main([*RUN, *OFTEN, *long, "-q"]) == 0
    assert painted()[0::2] == found[0::2]


def test_a_file_is_replaced_at_once(folder, photo, painting, network, monkeypatch):
    run = nst_np.steps(photo, painting, network=network, iterations=2)
    next(iterator := iter(run))
    run.checkpoint().save("c")
    before = Path("c").read_bytes()

    def half(file, **arrays):
        file.write(before[: len(before) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.np, "savez", half)
    with pytest.raises(OSError, match="No space left"):
        run.checkpoint().save("c")
    assert Path("c").read_bytes() == before
    assert [path.name for path in folder.iterdir() if files.is_temporary(path.name)] == []
    iterator.close()


# --- the command ------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Ends a run where it is."""


def stopped_after(iterations, *arguments):
    """The command, which ends without any more ado after so many iterations."""
    from nst_np.callbacks import Frames

    def stop(self, step):
        if step.iteration > iterations:
            raise Killed

    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Killed):
        patch.setattr(Frames, "__call__", stop)
        main([*RUN, *OFTEN, "--save-every", "3", "-q", *arguments])


def test_the_report_goes_on_as_well(folder):
    pytest.importorskip("plotly")
    pytest.importorskip("matplotlib")
    from nst_np import report

    accounts = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "write_report", lambda folder, account, config: accounts.append(account))
        assert main([*RUN, "--save-every", "3", "--report", "rep", "-q"]) == 0
        stopped_after(4, "--report", "rep")
        assert main(["--resume", "c", "-q", "-o", "other.png"]) == 0
    whole, resumed = accounts
    frames = [[(frame.iteration, frame.jpeg) for frame in account.frames] for account in accounts]
    assert frames[0] == frames[1]
    assert resumed.command.endswith(" ".join(OFTEN + ["--save-every", "3", "-q", "--report", "rep"]))
    assert facts(resumed.result)[:3] == facts(whole.result)[:3]
    assert Path("other.png").exists()


def test_the_same_command_again_with_resume(folder, capsys):
    assert main([*RUN, "-q"]) == 0
    expected = painted()
    stopped_after(5)
    assert main([*RUN, "--resume", "c"]) == 0
    assert "going on after iteration 5 of 8\n" in capsys.readouterr().err
    assert painted()[0::2] == expected[0::2]


@pytest.mark.parametrize("arguments, says", [
    (["--size", "32"], "checkpoint 'c' is of a run with size 48, not 32; expected the same"),
    (["--tv-weight", "0.1"], "checkpoint 'c' is of a run with tv_weight 0.05, not 0.1; expected the same"),
    (["--content", "painting.png"],
     "checkpoint 'c': the content image of this run and of that one differ; expected the same"),
    (["--style", "photo.png"],
     "checkpoint 'c': the style images of this run and of that one differ; expected the same"),
    (["--init", "grey"], "checkpoint 'c': the initial image of this run and of that one differ; expected the same"),
    (["--checkpoint", "photo.png"],
     "checkpoint 'photo.png' exists; expected a new file, or --resume photo.png (resume=) to go on from there"),
    (["--checkpoint", "no/c"], "checkpoint 'no/c' cannot be written: No such file or directory"),
    (["--checkpoint-every", "-1"], "checkpoint_every must be a number of minutes of at least 0, not -1.0"),
    (["-o", "c.png", "--checkpoint", "c.png"], "output and checkpoint are the same file, 'c.png'"),
])
def test_what_is_not_of_the_run_is_refused(arguments, says, folder, capsys):
    stopped_after(3)
    before = Path("c").read_bytes()
    assert main(["--resume", "c", "-q", *arguments]) == 2
    assert capsys.readouterr().err == f"nst-np: {says}\n"
    assert Path("c").read_bytes() == before
    assert not Path("out.png").exists()


@pytest.mark.parametrize("name, attribute, before, now", [
    ("network", "name", "wavelet", "vgg16"), ("weights", "checksum", None, "md5:1"),
])
def test_another_network_is_refused(name, attribute, before, now, folder, monkeypatch, capsys):
    stopped_after(3)
    monkeypatch.setattr(WaveletNetwork, attribute, now, raising=False)
    assert main(["--resume", "c", "-q"]) == 2
    assert capsys.readouterr().err == (f"nst-np: checkpoint 'c': the {name} of this run and of that one differ: "
                                       f"{before} before, {now} now; expected the same\n")


def test_an_image_that_has_changed_is_refused(folder, capsys):
    stopped_after(3)
    Image.open("photo.png").rotate(180).save("photo.png")
    assert main(["--resume", "c", "-q"]) == 2
    assert "the content image of this run and of that one differ" in capsys.readouterr().err


def test_another_version_is_refused(folder, monkeypatch, capsys):
    stopped_after(3)
    monkeypatch.setattr(checkpoint, "VERSION", "99.0")
    assert main(["--resume", "c", "-q"]) == 2
    assert capsys.readouterr().err == (
        f"nst-np: checkpoint 'c' is of nst_np {nst_np.__version__}, and this is 99.0, which may go on to other bits; "
        "expected the same version\n")


def test_other_libraries_are_refused(folder, monkeypatch, capsys):
    stopped_after(3)
    monkeypatch.setattr(checkpoint.scipy, "__version__", "9.0")
    assert main(["--resume", "c", "-q"]) == 2
    assert "the libraries of this run and of that one differ: NumPy" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["photo.png", "half", "array.npy", "other.npz", "pickled.npz"])
def test_a_file_that_is_no_checkpoint_is_refused(name, folder, capsys):
    stopped_after(1)
    Path("half").write_bytes(Path("c").read_bytes()[:-3000])
    np.save("array.npy", np.zeros(3))
    np.savez("other.npz", about=np.zeros(3))
    np.savez("pickled.npz", about=np.array([{}], object))
    assert main(["--resume", name, "-q"]) == 2
    assert capsys.readouterr().err == f"nst-np: checkpoint {name!r} is no checkpoint of nst_np, or a damaged one\n"
    assert main(["--resume", "nowhere", "-q"]) == 2
    assert capsys.readouterr().err == "nst-np: checkpoint 'nowhere' cannot be read: No such file or directory\n"


# --- when it is kept --------------------------------------------------------------------------------------------------


@pytest.fixture
def long_run(monkeypatch):
    """A run that is foretold to take an hour, and ten minutes between two of its steps."""
    from nst_np.run import Steps

    begin, minutes = Steps.__init__, itertools.count(0, 600)

    def init(self, *arguments, **settings):
        begin(self, *arguments, **settings)
        self.foretold = 3600.0

    monkeypatch.setattr(Steps, "__init__", init)
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: float(next(minutes)))


def test_a_long_run_keeps_one_unasked_until_there_is_a_picture(folder, long_run, monkeypatch, capsys):
    saved = []
    monkeypatch.setattr(Checkpoint, "save", lambda self, path: saved.append((self.done, Path(path))))
    assert main(RUN) == 0
    assert saved == [(done, Path("out.checkpoint")) for done in range(1, 9)]
    assert ("every 10 minutes a checkpoint goes to 'out.checkpoint', until the picture is there; "
            "--resume out.checkpoint goes on from it\n") in capsys.readouterr().err
    saved.clear()
    assert main([*RUN, "-q", "--checkpoint-every", "0"]) == 0
    assert saved == []
    Path("out.checkpoint").touch()
    assert main([*RUN, "-q"]) == 2
    assert capsys.readouterr().err.startswith("nst-np: checkpoint 'out.checkpoint' exists; expected a new file, or")


def test_a_short_run_keeps_none(folder, monkeypatch):
    monkeypatch.setattr(Checkpoint, "save", lambda self, path: pytest.fail("it was saved"))
    assert main([*RUN, "-q"]) == 0


def test_an_interrupted_run_leaves_it_and_says_so(folder, monkeypatch, capsys):
    from nst_np.callbacks import Progress

    def interrupt(self, step):
        if step.iteration == 6:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "__call__", interrupt)
        assert main([*RUN, *OFTEN]) == 130
    assert "--resume c goes on from the latest checkpoint\n" in capsys.readouterr().err
    assert Checkpoint.load("c").done == 5
    assert main(["--resume", "c", "-q"]) == 0
    found = painted()
    assert main([*RUN, "-q"]) == 0
    assert painted()[0::2] == found[0::2]


def test_a_full_disk_is_said_and_costs_no_picture(folder, photo, painting, network, monkeypatch):
    def full(self, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Checkpoint, "save", full)
    lines = []
    nst_np.stylize(photo, painting, network=network, iterations=3, say=lines.append, checkpoint="c",
                   checkpoint_every=1e-9)
    assert [line for line in lines if "checkpoint" in line] == [
        "checkpoint 'c' cannot be written: No space left on device; the run goes on without"]


def test_stylize_keeps_one_and_goes_on_from_it(folder, photo, painting, network):
    expected = facts(nst_np.stylize(photo, painting, network=network, **SIZES))

    def stop(step):
        if step.iteration == 5:
            raise Killed

    with pytest.raises(Killed):
        nst_np.stylize(photo, painting, network=network, checkpoint="c", checkpoint_every=1e-9, callback=stop, **SIZES)
    with pytest.raises(InputError, match="^config and resume are both given, but a checkpoint has every setting"):
        nst_np.stylize(photo, painting, resume="c", config=nst_np.Config())
    with pytest.raises(InputError, match="^checkpoint 'c' is of a run with iterations 4, not 5; expected the same$"):
        nst_np.stylize(photo, painting, resume="c", network=network, iterations=5)
    assert facts(nst_np.stylize(photo, painting, resume="c", network=network)) == expected
    assert not Path("c").exists()


def test_a_checkpoint_is_of_a_step(photo, painting, network):
    run = nst_np.steps(photo, painting, network=network, iterations=1, optimizer="adam")
    for _ in run:
        assert run.checkpoint().done == run.done
    with pytest.raises(InputError, match="^a checkpoint is of a step of a run; expected one in the loop over it$"):
        run.checkpoint()


def test_a_keeper_says_what_it_cannot_use(folder):
    with pytest.raises(InputError, match="^checkpoint 'photo.png' exists; expected a new file"):
        Keeper("photo.png", 10, print)
    assert {field.name for field in dataclasses.fields(nst_np.Config)} >= set(checkpoint.FREE)
