"""The codes: bit planes exactly, SpikingJelly's encoders bit for bit, and the BPDA surrogates."""

import pytest
import torch
from spikingjelly.activation_based.encoding import LatencyEncoder, PoissonEncoder, WeightedPhaseEncoder

from snnpaper.nets.coding import CODINGS, SMOOTHING, bpda_slope, encode, encode_image, phase_weights

ALL = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)  # every pixel value once


@pytest.fixture
def batch():
    g = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8, generator=g)


def library_phase(x, T):
    """SpikingJelly's phase encoder as the published code uses it: K = 8 on u/256, reset for each batch."""
    encoder = WeightedPhaseEncoder(K=8)
    return torch.stack([encoder(x.float() / 256) for _ in range(T)])


@pytest.mark.parametrize("T", [1, 8, 10, 17])
def test_phase_equals_spikingjelly(T, batch):
    for x in (ALL, batch):
        assert torch.equal(encode(x, "phase", T), library_phase(x, T))


def test_spikingjelly_s_phase_encoder_needs_a_reset(batch):
    encoder = WeightedPhaseEncoder(K=8)
    first, second = batch[:1], 255 - batch[:1]
    encoder(first.float() / 256)
    stale = encoder(second.float() / 256)
    assert torch.equal(stale, encode(first, "phase", 2)[1])  # the old image goes on; the new one is not seen
    encoder.reset()
    assert torch.equal(encoder(second.float() / 256), encode(second, "phase", 1)[0])


def test_phase_is_the_binary_expansion_most_significant_first():
    planes = encode(ALL, "phase", 8).flatten(1).T.int()  # [256, 8]
    for value, bits in enumerate(planes.tolist()):
        assert bits == [int(digit) for digit in f"{value:08b}"]


def test_planes_nine_and_ten_repeat_one_and_two(batch):
    s = encode(batch, "phase", 10)
    assert s.shape == (10, *batch.shape) and s.dtype == torch.float32
    assert torch.equal(s[8:], s[:2])
    assert not torch.equal(s[:2], s[2:4])


def test_phase_weights():
    expected = [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256, 1 / 2, 1 / 4]
    assert phase_weights(10).tolist() == expected


def test_weighted_phase_is_the_planes_times_omega_and_sums_to_the_pixel(batch):
    bare, weighted = encode(batch, "phase", 10), encode(batch, "weighted_phase", 10)
    assert torch.equal(weighted, bare * phase_weights(10).view(10, 1, 1, 1, 1))
    assert torch.equal(weighted[:8].sum(0), batch.float() / 256)


@pytest.mark.parametrize("T", [1, 4, 10])
def test_latency_equals_spikingjelly(T, batch):
    encoder = LatencyEncoder(T, "linear")
    for x in (ALL, batch):
        encoder.reset()
        theirs = torch.stack([encoder(x.float() / 255) for _ in range(T)])
        assert torch.equal(encode(x, "latency", T), theirs)


def test_latency_is_one_spike_earlier_when_brighter():
    s = encode(ALL, "latency", 10).flatten(1)  # [10, 256]
    assert (s.sum(0) == 1).all()
    fired = s.argmax(0)
    assert (fired.diff() <= 0).all() and fired[0] == 9 and fired[255] == 0


def test_rate_equals_spikingjelly_with_the_same_seed(batch):
    torch.manual_seed(3)
    encoder = PoissonEncoder()
    theirs = torch.stack([encoder(batch.float() / 255) for _ in range(6)])
    torch.manual_seed(3)
    assert torch.equal(encode(batch, "rate", 6), theirs)


def test_rate_has_the_pixel_s_mean():
    T = 4000
    torch.manual_seed(0)
    s = encode(ALL, "rate", T)
    assert set(s.unique().tolist()) == {0.0, 1.0}
    u = ALL.float() / 255
    spread = (u * (1 - u) / T).sqrt()
    assert ((s.mean(0) - u).abs() <= 5 * spread + 1e-6).all()


def test_direct_repeats_the_image(batch):
    s = encode(batch, "direct", 5)
    assert s.shape == (5, *batch.shape)
    assert all(torch.equal(frame, batch.float() / 255) for frame in s)


def test_errors(batch):
    with pytest.raises(ValueError, match="coding is 'morse'; allowed: phase, weighted_phase, rate"):
        encode(batch, "morse", 10)
    with pytest.raises(ValueError, match="images are torch.float32; allowed: torch.uint8"):
        encode(batch.float(), "phase", 10)
    with pytest.raises(ValueError, match="bpda is 'spline'; allowed: identity, weighted, smoothed"):
        encode_image(batch / 255, "phase", 10, bpda="spline")


@pytest.mark.parametrize("coding", CODINGS)
def test_encode_image_is_encode_of_every_pixel_value(coding):
    def code(function, x):
        torch.manual_seed(0)
        return function(x, coding, 10)

    assert torch.equal(code(encode_image, ALL.float() / 255), code(encode, ALL))


@pytest.mark.parametrize(
    ("coding", "bpda", "weighted"),
    [
        ("phase", "identity", False),
        ("phase", "weighted", True),
        ("weighted_phase", "identity", True),  # here omega(t) is part of the code itself
        ("weighted_phase", "weighted", True),
        ("rate", "weighted", False),
        ("latency", "weighted", False),
        ("direct", "weighted", False),
    ],
)
def test_backward_is_the_surrogate(coding, bpda, weighted, batch):
    T = 10
    image = (batch.float() / 255).requires_grad_()
    readout = torch.randn(T, *batch.shape, generator=torch.Generator().manual_seed(1))
    (encode_image(image, coding, T, bpda) * readout).sum().backward()
    weight = [2.0 ** -(1 + t % 8) if weighted else 1.0 for t in range(T)]
    expected = sum(w * g for w, g in zip(weight, readout, strict=True))
    torch.testing.assert_close(image.grad, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("coding", ["phase", "weighted_phase", "latency"])
def test_the_smoothed_surrogate_is_the_slope_of_the_averaged_code(coding):
    """The derivative of a moving average over u - w .. u + w is the central difference of the code itself."""
    codes = encode(ALL, coding, 10).flatten(1)
    slope = bpda_slope(ALL, coding, 10, "smoothed").flatten(1)
    w = SMOOTHING[coding]
    for u in (0, 1, 63, 64, 127, 128, 200, 255):
        low, high = max(0, u - w), min(255, u + w)
        torch.testing.assert_close(slope[:, u], 255 * (codes[:, high] - codes[:, low]) / (high - low))


def test_only_the_smoothed_surrogate_tells_a_latency_code_where_to_go():
    """Brighter is earlier: with a read-out that likes early spikes, the gradient must point up."""
    early = torch.linspace(1, 0, 10).view(10, 1, 1, 1, 1)
    for bpda, up in (("smoothed", True), ("identity", False)):
        image = torch.linspace(0.2, 0.8, 16).view(1, 1, 4, 4).requires_grad_()
        (encode_image(image, "latency", 10, bpda) * early).sum().backward()
        assert (image.grad > 0).all() if up else (image.grad == image.grad[0, 0, 0, 0]).all()


@pytest.mark.parametrize("coding", ["rate", "direct"])
def test_codes_whose_mean_is_the_image_have_one_surrogate(coding):
    for bpda in ("identity", "weighted", "smoothed"):
        assert (bpda_slope(ALL, coding, 10, bpda) == 1).all()


def test_the_direct_code_s_surrogate_is_its_derivative():
    image = torch.rand(1, 1, 2, 2, generator=torch.Generator().manual_seed(0)).mul(255).round().div(255)
    image.requires_grad_()
    (encode_image(image, "direct", 3) ** 2).sum().backward()
    torch.testing.assert_close(image.grad, 3 * 2 * image.detach())


def test_one_pixel_step_can_flip_all_eight_planes():
    u = torch.tensor([127, 128], dtype=torch.uint8).view(2, 1, 1, 1)
    image = (u.float() / 255).requires_grad_()
    s = encode_image(image, "phase", 10)
    assert (s[:, 0] != s[:, 1]).all()
    flips = (encode(ALL, "phase", 8).flatten(1).diff(dim=1) != 0).sum(0)
    assert flips.max() == 8 and flips.argmax() == 127
    assert torch.equal(flips[::2], torch.ones(128, dtype=torch.long))  # an even value only changes its last bit


def test_distinct_pixel_values_have_spike_codes_at_distance_one():
    s = encode(ALL, "phase", 8).flatten(1).T
    distance = torch.cdist(s, s, p=float("inf"))
    assert torch.equal(distance, 1 - torch.eye(256))


@pytest.mark.parametrize("value", [-0.01, 1.01])
def test_an_image_outside_the_box_is_refused(value):
    with pytest.raises(ValueError, match="allowed: 0 to 1"):
        encode_image(torch.full((1, 3, 2, 2), value), "phase", 10)


def test_an_image_is_rounded_to_the_nearest_level():
    for off in (-0.4, 0.4):
        image = ((ALL.float() + off) / 255).clamp(0, 1)
        assert torch.equal(encode_image(image, "phase", 8), encode(ALL, "phase", 8))
