"""What a run will take, in time and memory, known before it starts."""

from nst_np.forecast.choice import forecast
from nst_np.forecast.estimate import Estimate
from nst_np.forecast.plan import Plan, Stage

__all__ = ["Estimate", "Plan", "Stage", "forecast"]
