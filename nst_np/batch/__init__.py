"""Many pictures: planned from photographs and paintings, painted in processes of their own, noted in their folder."""

from nst_np.batch.plan import plan
from nst_np.batch.running import run_batch

__all__ = ["plan", "run_batch"]
