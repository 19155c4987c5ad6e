"""What differential privacy a training has given: python -m figment.privacy --noise 1.1 --rate 0.001 --steps 2000.

The training is that of a model converted with dp_clip and dp_noise: each step draws each sample with the probability `rate`, bounds
what it adds to the discriminator's gradient, and adds normal noise of `noise` such bounds (Abadi et al. 2016). The accountant is
Google's dp-accounting, by privacy loss distributions (Koskela et al. 2020), for adding or removing one sample.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from typing import Optional, Sequence

from .errors import InvalidArgument


def epsilon(noise: float, rate: float, steps: int, delta: float = 1e-5) -> float:
    """The epsilon of (epsilon, delta)-differential privacy; infinite without noise. Needs the package dp-accounting.
    Raises InvalidArgument."""
    if not (noise >= 0 and math.isfinite(noise)):
        raise InvalidArgument(f"the noise is {noise}: a number of 0 or more is needed")
    if not 0 < rate <= 1:
        raise InvalidArgument(f"the rate is {rate}: the share of the samples that a step draws, in (0, 1]")
    if steps < 0 or int(steps) != steps:
        raise InvalidArgument(f"the number of steps is {steps}")
    if not 0 < delta < 1:
        raise InvalidArgument(f"delta is {delta}: it lies between 0 and 1, well below one over the number of samples")
    if steps == 0:
        return 0.0
    if noise == 0:
        return math.inf
    try:
        import dp_accounting
        from dp_accounting import pld
    except ImportError:
        raise InvalidArgument("the accountant needs the package dp-accounting: pip install dp-accounting") from None
    accountant = pld.PLDAccountant()
    accountant.compose(dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise)), int(steps))
    return float(accountant.get_epsilon(delta))


def main(argv: Optional[Sequence[str]] = None) -> int:
    """The command. Returns its status."""
    parser = argparse.ArgumentParser(prog="python -m figment.privacy", description="Says what differential privacy a training has given.")
    parser.add_argument("--noise", type=float, required=True, help="--dp-noise of the model")
    parser.add_argument("--rate", type=float, required=True, help="share of the samples that a step draws: batch / samples")
    parser.add_argument("--steps", type=int, required=True, help="steps of the training, all runs on these samples together")
    parser.add_argument("--delta", type=float, default=1e-5, help="well below one over the number of samples (default: 1e-5)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args(argv)
    try:
        result = epsilon(options.noise, options.rate, options.steps, options.delta)
    except InvalidArgument as error:
        print(f"figment.privacy: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps({"epsilon": result if math.isfinite(result) else None, "delta": options.delta}))
    else:
        print(f"epsilon {result:.3g} at delta {options.delta:g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
