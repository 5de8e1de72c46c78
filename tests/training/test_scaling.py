import tracemalloc

import numpy as np
import pytest
import torch

from skal.generators import AutoEncoder
from skal.training import scaling as scaling_module
from skal.training.scaling import Scaling, learn_scaling

RNG = np.random.default_rng(0)
X = RNG.normal([5.0, -1e6, 0.2], [2.0, 0.1, 3e4], size=(50, 3))
IMAGES = RNG.uniform(-3, 8, size=(20, 2, 4, 5))


@pytest.fixture(params=[2**23, 200], ids=["one block", "many blocks"])
def _blocks(request, monkeypatch):
    monkeypatch.setattr(scaling_module, "_BLOCK_BYTES", request.param)


@pytest.mark.usefixtures("_blocks")
def test_features_are_standardised():
    shift, scale = learn_scaling(X, None, is_image=False)
    np.testing.assert_allclose(shift, X.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(scale, X.std(axis=0), rtol=1e-6)
    scaled = Scaling(shift, scale)(torch.tensor(X)).numpy()
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=0), 1, rtol=1e-6)


@pytest.mark.usefixtures("_blocks")
def test_images_share_one_map():
    shift, scale = learn_scaling(IMAGES, None, is_image=True)
    assert np.shape(shift) == np.shape(scale) == ()
    assert shift == pytest.approx(IMAGES.mean())
    assert scale == pytest.approx(IMAGES.std())


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("output_range", [(0.0, 1.0), (-1.0, 1.0), (-3.0, 0.5)])
def test_extremes_are_mapped_onto_the_range(output_range):
    shift, scale = learn_scaling(IMAGES, output_range, is_image=True)
    assert np.shape(shift) == np.shape(scale) == ()
    scaled = Scaling(shift, scale)(torch.tensor(IMAGES))
    assert (scaled.min().item(), scaled.max().item()) == pytest.approx(output_range)
    shift, scale = learn_scaling(X, output_range, is_image=False)
    scaled = Scaling(shift, scale)(torch.tensor(X)).numpy()
    np.testing.assert_allclose(scaled.min(axis=0), output_range[0], atol=1e-9)
    np.testing.assert_allclose(scaled.max(axis=0), output_range[1], atol=1e-9)


@pytest.mark.parametrize("output_range", [None, (0.0, 1.0), (-1.0, 1.0)])
def test_constant_features(output_range):
    """They come back as they were, and nothing is divided by zero."""
    rows = X.copy()
    rows[:, 1] = 7.5
    scaling = Scaling(*learn_scaling(rows, output_range, is_image=False))
    scaled = scaling(torch.tensor(rows))
    assert scaled.isfinite().all()
    assert scaled[:, 1].unique().numel() == 1
    np.testing.assert_allclose(scaling.inverse(scaled).numpy(), rows, rtol=1e-12)
    scaling = Scaling(*learn_scaling(np.full((4, 1, 2, 2), 7.5), output_range, is_image=True))
    value = scaling(torch.tensor(7.5, dtype=torch.float64)).item()
    assert value == (output_range[0] if output_range else 0)


@pytest.mark.parametrize(("output_range", "ends"), [((0.0, 1.0), (0.0, 1.0)), ((-1.0, 1.0), (-1.0, 1.0))])
def test_bytes_count_from_0_to_255(output_range, ends):
    for rows, is_image in ((np.full((3, 1, 2, 2), 9, np.uint8), True), (np.full((3, 4), 9, np.uint8), False)):
        scaling = Scaling(*learn_scaling(rows, output_range, is_image=is_image))
        assert scaling(torch.tensor([[0.0], [255.0]])).flatten().tolist() == pytest.approx(ends)


def test_other_bytes_count_between_their_extremes():
    """Signed bytes and bytes for a network without a range are numbers as any other."""
    signed = np.array([[-5], [15]], np.int8)
    shift, scale = learn_scaling(signed, (0.0, 1.0), is_image=False)
    assert (float(shift), float(scale)) == (-5, 20)
    shift, scale = learn_scaling(np.array([[10], [30]], np.uint8), None, is_image=False)
    assert (float(shift), float(scale)) == (20, 10)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("output_range", [None, (0.0, 1.0)])
def test_a_memory_map_is_read_in_blocks(dtype, output_range, tmp_path, monkeypatch):
    monkeypatch.setattr(scaling_module, "_BLOCK_BYTES", 2**16)
    rows = RNG.integers(3, 200, size=(20_000, 64)).astype(dtype)
    rows.tofile(tmp_path / "rows")
    mapped = np.memmap(tmp_path / "rows", dtype=dtype, mode="r", shape=rows.shape)
    tracemalloc.start()
    shift, scale = learn_scaling(mapped, output_range, is_image=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * 2**16  # a block as float64, eight times as large, and its copies
    wide = rows.astype(np.float64)
    if output_range is None:
        np.testing.assert_allclose(shift, wide.mean(axis=0))
        np.testing.assert_allclose(scale, wide.std(axis=0))
    elif dtype == np.uint8:
        assert (float(shift), float(scale)) == (0, 255)
    else:
        np.testing.assert_array_equal(shift, wide.min(axis=0))
        np.testing.assert_array_equal(scale, np.ptp(wide, axis=0))


def test_the_inverse():
    scaling = Scaling(*learn_scaling(X, None, is_image=False))
    rows = torch.tensor(RNG.normal(size=(7, 3)))
    torch.testing.assert_close(scaling(scaling.inverse(rows)), rows, rtol=1e-7, atol=1e-7)
    assert scaling.inverse(torch.zeros(3, dtype=torch.float64)).tolist() == pytest.approx(
        X.mean(axis=0).tolist()
    )
    assert set(scaling.state_dict()) == {"shift", "scale"}


def test_numbers_whose_variance_overflows():
    with pytest.raises(ValueError, match=r"from -?\d.* to .*scale X"):
        learn_scaling(X * 1e160, None, is_image=False)


@pytest.mark.parametrize("dtype", ["int64", ">i8", "uint32"])
def test_integers_that_float32_cannot_tell_apart_are_told_apart(dtype):
    near = np.arange(60).reshape(20, 3)
    codes = []
    for rows in (near, near + 1_700_000_000):
        encoder = AutoEncoder(max_epochs=3, random_state=0).fit(rows.astype(dtype))
        codes.append(encoder.transform(rows.astype(dtype)))
    assert len(np.unique(codes[1], axis=0)) == 20
    np.testing.assert_allclose(codes[1], codes[0], rtol=1e-3, atol=1e-4)
