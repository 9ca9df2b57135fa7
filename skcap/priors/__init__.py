"""Attribution priors: where word scores come from."""
