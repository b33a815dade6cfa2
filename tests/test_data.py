"""Splits that never mix, order that follows the seed, and the error of a data set that is not there."""

import pytest
import torch

from snnpaper.nets import data


def test_digits_are_uint8_images_in_disjoint_splits():
    splits = data.load("digits")
    assert {k: len(v) for k, v in splits.items()} == {"validation": 200, "train": 1197, "test": 400}
    whole = torch.cat([s.x for s in splits.values()])
    assert whole.dtype == torch.uint8 and whole.shape == (1797, 3, 32, 32) and whole.max() == 255
    assert len(torch.unique(whole.flatten(1), dim=0)) == 1797  # no image is in two splits
    assert all(s.y.unique().numel() == 10 for s in splits.values())


def test_splits_and_checksum_are_the_same_each_time():
    a, b = data.load("digits"), data.load("digits")
    assert all(a[k].sha256 == b[k].sha256 for k in a)
    assert a["test"].sha256 != a["train"].sha256


def test_an_epoch_shows_every_image_once_and_follows_seed_and_epoch():
    images = data.Images(torch.arange(40, dtype=torch.uint8).view(40, 1, 1, 1).expand(40, 3, 2, 2), torch.arange(40))
    order = lambda seed, epoch: torch.cat([y for _, y in data.epoch_batches(images, 8, True, seed, epoch)])  # noqa: E731
    assert sorted(order(0, 0).tolist()) == list(range(40))
    assert torch.equal(order(0, 0), order(0, 0))
    assert not torch.equal(order(0, 0), order(0, 1)) and not torch.equal(order(0, 0), order(1, 0))
    assert (
        len(torch.cat([y for _, y in data.epoch_batches(images, 16, False, 0, 0)])) == 32
    )  # the short batch is dropped


def test_flips_mirror_about_half_of_the_images_and_only_when_asked():
    x = torch.zeros(400, 3, 4, 4, dtype=torch.uint8)
    x[..., 0] = 1
    images = data.Images(x, torch.zeros(400, dtype=torch.long))
    plain = torch.cat([b for b, _ in data.epoch_batches(images, 50, False, 0, 0)])
    turned = torch.cat([b for b, _ in data.epoch_batches(images, 50, True, 0, 0)])
    assert torch.equal(plain, x)
    mirrored = (turned[..., -1] == 1).flatten(1).all(1)
    assert torch.equal(turned[mirrored], x[: mirrored.sum()].flip(-1))
    assert 140 < mirrored.sum() < 260


def test_missing_data_is_one_error_that_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("SNNPAPER_DATA", str(tmp_path))

    def offline(*args, download, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.datasets.CIFAR10.__init__", offline)
    with pytest.raises(data.DataUnavailable) as err:
        data.load("cifar10")
    for part in ("cifar10", str(tmp_path), "no route to host", "SNNPAPER_DATA", "snnpaper fetch cifar10"):
        assert part in str(err.value)
    with pytest.raises(ValueError, match="'mnist'; allowed: digits, cifar10, cifar100, cifar10dvs"):
        data.load("mnist")


def test_a_damaged_folder_is_reported_not_read(monkeypatch, tmp_path):
    monkeypatch.setenv("SNNPAPER_DATA", str(tmp_path))
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"damaged")
    with pytest.raises(data.DataUnavailable, match="corrupt"):
        data.load("cifar10")


def test_cifar10_splits(cifar10_root):
    splits = data.load("cifar10")
    assert {k: len(v) for k, v in splits.items()} == {"validation": 5000, "train": 45_000, "test": 10_000}
    assert splits["test"].y[:5].tolist() == [3, 8, 8, 0, 6]  # the official order
    assert splits["train"].y.bincount().min() > 4300


def test_an_unpacking_that_was_cut_off_is_fetched_again(monkeypatch, tmp_path):
    monkeypatch.setenv("SNNPAPER_DATA", str(tmp_path))
    (tmp_path / "cifar-10-batches-py").mkdir()
    asked = []

    def torchvision(self, root, train, download):
        asked.append(download)
        raise OSError("no route to host") if download else RuntimeError("Dataset not found or corrupted")

    monkeypatch.setattr("torchvision.datasets.CIFAR10.__init__", torchvision)
    with pytest.raises(data.DataUnavailable):
        data.load("cifar10")
    assert asked == [False, True]
