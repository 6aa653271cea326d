"""One evaluation of the paper's loss, and the first steps that follow it, as a page of numbers and pictures."""
