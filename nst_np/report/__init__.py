"""Reports on runs and sweeps: pages that open from disk, plots, animations. Only this package draws anything.

matplotlib, plotly and jinja2 are imported when something is drawn, not before.
"""

from nst_np.report.folder import check_report, write_report
from nst_np.report.gallery import PLANNED, Cell, Gallery, render_gallery, write_gallery
from nst_np.report.page import render_page
from nst_np.report.recording import FRAME_SIDE, MAX_FRAMES, Account, Frame, Recorder
from nst_np.report.staging import REPORT_FILE

__all__ = [
    "FRAME_SIDE",
    "MAX_FRAMES",
    "PLANNED",
    "REPORT_FILE",
    "Account",
    "Cell",
    "Frame",
    "Gallery",
    "Recorder",
    "check_report",
    "render_gallery",
    "render_page",
    "write_gallery",
    "write_report",
]
