"""What is left of a worst case when it is attacked again, longer and by other gradients; and again with twice that."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .. import ledger
from ..attacks.ensemble import Keep, predictions, worst_case
from ..attacks.spiking_ensemble import own
from ..attacks.strong import strong
from ..config import Run
from ..nets.coded import CodedNet
from ..nets.data import Images


def stronger(coded: CodedNet, images: Images, budgets: Sequence[int], run: Run, keep: Keep, progress: bool) -> dict:
    """`strong` on the images that withstood the batteries recorded as "attacks", with each of `budgets` in turn.

    Each budget sees what the one before left. "batteries" has one entry each: space, eps, how many images are `clean`
    and stood `before`, and one of "rounds" a budget: its attacks, each with how many it saw and fooled, and how many
    are `left`. Raises LedgerError without that record, ValueError when it is of fewer images or of another network.
    """
    record = ledger.read("attacks", run.name)["results"]
    if len(images) > record["n"]:
        raise ValueError(f'images is {len(images)}; allowed: at most {record["n"]}, which "attacks" has')
    batteries = []
    for b in record["batteries"]:
        space, eps, n = b["space"], b["eps"], len(images)
        clean, left = (torch.from_numpy(ledger.unpack(b[k], record["n"]))[:n] for k in ("clean", "robust"))
        model = coded.threat(space, "smoothed")
        x, y = model.inputs(images.x), images.y
        if not torch.equal(predictions(model, x).cpu() == y.cpu(), clean):
            raise ValueError(f'{run.name} does not classify as in its record "attacks": another network')
        entry = {"space": space, "eps": eps, "clean": int(clean.sum()), "before": int(left.sum()), "rounds": []}
        for budget in budgets:
            i = left.nonzero()[:, 0]

            def part(name: str, work, place: str = f"{space} {255 * eps:g}, {budget}"):
                return keep(f"{place}: {name}", work)

            found = worst_case(model, x[i], y[i], strong(coded, space, eps, budget), eps, progress, part)
            rows = [
                r["settings"].of_network(own(coded))
                | {"attacked": int(r["attacked"].sum()), "fooled": int((r["attacked"] & ~r["correct"]).sum())}
                for r in found.rows
            ]
            left = left.clone()
            left[i] = found.robust.cpu()
            entry["rounds"].append({"budget": budget, "attacks": rows, "left": int(left.sum())})
        batteries.append(entry)
    return {"n": len(images), "own": own(coded), "batteries": batteries}
